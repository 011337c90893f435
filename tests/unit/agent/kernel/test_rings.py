"""How the room of a ring buffer is divided."""

import pytest

from kubestrace_agent.kernel.maps.rings import Ring


@pytest.mark.parametrize("cpus", [2, 16, 256])
@pytest.mark.parametrize("parties", [1, 4, 64])
def test_a_part_holds_many_records_whatever_the_number_of_cpus(cpus: int, parties: int) -> None:
    """All parts fit into the ring, and hundreds of CPUs leave nobody with a single record."""
    ring = object.__new__(Ring)
    ring.bytes = 1 << 20
    part = ring.part(parties, cpus, record_bytes=1000)

    assert part * parties <= ring.bytes
    assert part >= ring.bytes // parties // 2

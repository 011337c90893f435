"""What the agent's tables take in the kernel, against what the documentation says."""

import importlib
import mmap
import re
from pathlib import Path

import pytest
from table_sizes import Table

from kubestrace_agent.kernel import bpf_syscall
from kubestrace_agent.kernel.counters.tracer import Tracer
from kubestrace_agent.kernel.maps.maps import Maps
from kubestrace_agent.kernel.maps.rings import RingMaps
from kubestrace_agent.views import registry

LIMITS = Path(__file__).parents[3] / "docs/limits.md"
MIB, KIB = 1 << 20, 1 << 10
# | `files` | 11.5 MiB | 18.1 KiB | 4 MiB |
ROW = re.compile(r"^\| `(\w+)` \| ([\d.]+) MiB \| ([\d.]+) KiB \| (?:([\d.]+) MiB|-) \|$", re.MULTILINE)
ROWS = 100


@pytest.fixture
def maps(tracer: Tracer) -> Maps:
    """Give the maps of a node."""
    return tracer._programs.maps


def accounts(maps: Maps) -> bool:
    """Return whether the kernel says what tables take (Linux 6.4); older ones say what their keys and values would."""
    return Table.of(maps.fd("memory_breaks")).bytes % mmap.PAGESIZE != 0


def fixed_and_each_cpu(maps: Maps, name: str) -> tuple[int, int]:
    """Return what the tables of a view take when they are full: in all, and for each possible CPU."""
    fixed = each_cpu = 0
    for source in registry.all_sources():
        for each in source.maps if source.file.startswith(f"views/{folder(name)}/") else ():
            fd, table = maps.fd(each), Table.of(maps.fd(each))
            rows = sum(1 for _ in bpf_syscall.keys(fd, table.key_bytes)) if table.fills else 0
            fixed += table.full(maps.cpus, rows)
            each_cpu += table.cpu_bytes
    return fixed, each_cpu


def folder(name: str) -> str:
    """Return the folder of a view."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def ring_bytes(name: str) -> int:
    """Return the size of the rings that a view makes while it is on."""
    package = importlib.import_module(f"kubestrace_agent.views.{folder(name)}")
    files = Path(package.__path__[0]).glob("*.py")
    modules = [importlib.import_module(f"{package.__name__}.{path.stem}") for path in files]
    rings = (each for module in modules for each in vars(module).values() if isinstance(each, RingMaps))
    return sum({each.name: each.ring_bytes for each in rings}.values())


def test_a_row_takes_what_the_formula_says(maps: Maps) -> None:
    """In each table that allocates as it fills: so does a full one, which no test fills."""
    cpus = maps.cpus
    if not accounts(maps):
        table = Table.of(maps.fd("memory_breaks"))
        assert table.bytes == table.entries * (table.key_bytes + table.value_bytes)
        return
    for name in (name for source in registry.all_sources() for name in source.maps if maps.has(name)):
        fd, before = maps.fd(name), Table.of(maps.fd(name))
        if not before.fills:
            continue
        value = bytes(-(-before.value_bytes // 8) * 8 * (cpus if before.kind == 5 else 1))
        keys = [number.to_bytes(4, "big").rjust(before.key_bytes, b"\xee") for number in range(ROWS)]
        for key in keys:
            bpf_syscall.update(fd, key, value)
        grown = Table.of(fd).bytes - before.bytes
        for key in keys:
            bpf_syscall.delete(fd, key)

        of_cpus = cpus * before.cpu_bytes // before.entries
        assert (name, grown) == (name, ROWS * (before.element_bytes + of_cpus))


def test_the_documentation_has_what_each_views_tables_take(maps: Maps) -> None:
    """When they are full: a fixed part, one for each possible CPU, and the ring while it is on; about as much."""
    rows = ROW.findall(LIMITS.read_text(encoding="utf-8"))
    told = {name: (float(fixed), float(cpu), float(ring or 0)) for name, fixed, cpu, ring in rows}

    for name in registry.views():
        fixed, each_cpu = fixed_and_each_cpu(maps, name)
        found = fixed / MIB, each_cpu / KIB, ring_bytes(name) / MIB
        if fixed and not accounts(maps):
            assert name in told
        elif fixed:
            assert (name, told.get(name)) == (name, pytest.approx(found, rel=0.1, abs=1))


def test_the_documentation_has_what_the_tables_of_an_idle_node_take(maps: Maps) -> None:
    """About as much: of more CPUs some tables are larger."""
    (told,) = re.findall(r"^    (\d+) MB \+ row", LIMITS.read_text(encoding="utf-8"), re.MULTILINE)
    names = (name for source in registry.all_sources() for name in source.maps if maps.has(name))

    idle = sum(Table.of(maps.fd(name)).bytes for name in names)

    assert not accounts(maps) or idle / 1e6 == pytest.approx(int(told), rel=0.1, abs=maps.cpus)

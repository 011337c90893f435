"""What the loader compiles for the view network."""

from kubestrace_agent.kernel.loader.sources import Source
from kubestrace_agent.views.network import offsets

PART = "sockets"
_ROWS = "views/network/network_rows.bpf.c"
_TALKS = "views/network/network_talks.bpf.c"
_WHAT = "The network"
SOURCES = (
    # No program of its own.
    Source(
        file=_ROWS,
        maps=(
            *("net_slots", "net_sockets", "net_rows", "net_errors", "net_ports", "net_failed"),
            *("net_nothing", "net_caches", "net_scratch"),
        ),
        definitions=offsets.definitions,
        uses="kernel/bpf/calls.bpf.c",
        part=PART,
        what=_WHAT,
    ),
    Source(
        file="views/network/network.bpf.c",
        hooks={"on_sock_state": "inet_sock_set_state"},
        uses=_ROWS,
        part=PART,
        what=_WHAT,
    ),
    # No program of its own.
    Source(
        file=_TALKS,
        maps=("net_talks", "net_names"),
        uses=_ROWS,
        part=PART,
        what=_WHAT,
    ),
    Source(
        file="views/network/network_calls.bpf.c",
        chain={"on_net_call": "COUNTED"},
        maps=("net_calls",),
        uses=_TALKS,
        part=PART,
        what=_WHAT,
    ),
    Source(
        file="views/network/network_walk.bpf.c",
        iterators=("walk_sockets__task_file", "tell_net_processes"),
        uses=_ROWS,
        part=PART,
        what=_WHAT,
    ),
)

"""What the loader compiles for the view network."""

from kubestrace_agent.kernel.loader.sources import Source
from kubestrace_agent.views.network import offsets

PART = "sockets"
DNS_PART = "dns"
_ROWS = "views/network/network_rows.bpf.c"
_TALKS = "views/network/network_talks.bpf.c"
_DNS = "views/network/network_dns.bpf.c"
_WHAT = "The network"
_WHAT_DNS = "DNS by name"
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
    Source(
        file=_DNS,
        chain={"on_dns_call": "COUNTED"},
        tails={"on_dns_message": "dns_message_readers", "on_dns_answer": "dns_answer_readers"},
        maps=(
            *("dns_slots", "dns_calls", "dns_queries", "dns_rows", "dns_names", "dns_addresses"),
            *("dns_nothing", "dns_scratch", "dns_message_readers", "dns_answer_readers"),
        ),
        uses=_TALKS,
        part=DNS_PART,
        what=_WHAT_DNS,
    ),
    Source(
        file="views/network/network_dns_walk.bpf.c",
        iterators=("walk_dns__task_file",),
        uses=_DNS,
        part=DNS_PART,
        what=_WHAT_DNS,
    ),
)

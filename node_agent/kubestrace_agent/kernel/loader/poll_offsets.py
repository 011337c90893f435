"""Where the running kernel keeps the files of an epoll. Used by sources."""

from kubestrace_agent.kernel.loader.btf import Btf, BtfError

_FIELDS = {
    "POLL_LEFTMOST_OFFSET": "eventpoll.rbr.rb_leftmost",
    "POLL_NODE_OFFSET": "epitem.rbn",
    "POLL_FILE_OFFSET": "epitem.ffd.file",
    "POLL_NUMBER_OFFSET": "epitem.ffd.fd",
    "POLL_EVENTS_OFFSET": "epitem.event.events",
    "POLL_PARENT_OFFSET": "rb_node.__rb_parent_color",
    "POLL_LEFT_OFFSET": "rb_node.rb_left",
    "POLL_RIGHT_OFFSET": "rb_node.rb_right",
}


def definitions(_machine: str, btf: Btf) -> dict[str, int]:
    """Everything that the command line gives to polls.bpf.c; a kernel without epoll has none of it."""
    try:
        return {name: btf.offset(path) for name, path in _FIELDS.items()}
    except BtfError:
        return {}

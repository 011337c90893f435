"""Where a row of a list was seen, for people: said only where a session has several containers. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from kubestrace_protos.v1 import agent_pb2

# What stands before a place at the end of a row.
PLACE = "  in "


class Places:
    """The containers of a session, as text names them."""

    def __init__(self, status: Mapping[str, Any]) -> None:
        """Rows of a session of one container, as of one that was started here, need no place."""
        self._several = len({_of(row) for row in status.get("containers", ())}) > 1

    @classmethod
    def of(cls, containers: Iterable[agent_pb2.Container]) -> Self:
        """Make them of the containers themselves, before there is a status."""
        return cls({"containers": [names(each) for each in containers]})

    def behind(self, row: Mapping[str, Any]) -> str:
        """Return what stands behind a row: `  in pod/container`, or nothing."""
        return f"{PLACE}{_of(row)}" if self._several else ""

    def behind_some(self, rows: Sequence[Mapping[str, Any]], count: int) -> str:
        """Return it of a row that `count` containers share, of which some are known."""
        if not self._several or not rows:
            return ""
        return self.behind(rows[0]) if count == 1 else f"{PLACE}{count} containers, such as {_of(rows[0])}"

    def word(self, row: Mapping[str, Any]) -> str:
        """Return it as one of several words: `in pod/container`, or nothing."""
        return self.behind(row).strip()


def names(container: agent_pb2.Container) -> dict[str, str]:
    """Return what a row of a status says of its container."""
    return {"pod": container.pod_name, "container": container.container_name}


def place(pod: str, container: str) -> str:
    """Return pod and container as all tables name them; what local mode traces has no pod."""
    return "/".join(filter(None, (pod, container)))


def _of(row: Mapping[str, Any]) -> str:
    return place(row.get("pod", ""), row.get("container", ""))

"""Views that a session asks for and a node does not serve: a gap of each container, never a silent zero. Pure."""

from collections.abc import Iterable, Iterator

from kubestrace_operator.sessions.node_state import is_traced
from kubestrace_operator.status.progress import VIEW_UNSUPPORTED
from kubestrace_protos.v1 import agent_pb2


def gaps(
    node: str, described: agent_pb2.DescribeResponse | None, report: agent_pb2.Report, wanted: Iterable[str]
) -> Iterator[agent_pb2.Gap]:
    """Yield a gap for each container and view that an agent did not serve; `wanted` are names of views.

    `described` is what the agent says of itself, None: nothing. One that is older than a view does not list it and
    drops the request for it. Containers whose agent has reported such a gap itself get no second one.
    """
    wanted = list(wanted)
    reported = {_of_agent(gap) for gap in report.trust.gaps if gap.reason == VIEW_UNSUPPORTED}
    for each in report.containers:
        for view in wanted if is_traced(each.state) else ():
            why = _why(node, described, each, view)
            container_id = each.state.container.container_id
            if why and (container_id, view) not in reported:
                yield _gap(node, each.state, why)


def _why(node: str, described: agent_pb2.DescribeResponse | None, each: agent_pb2.ContainerReport, view: str) -> str:
    """Return why a container has no result for a view; empty: it has one."""
    listed = {support.name: support for support in described.views} if described else {}
    if described and view not in listed:
        version = f" ({described.agent_version})" if described.agent_version else ""
        return f"the agent on node {node}{version} does not know the view {view}: update it"
    if view in listed and not listed[view].available:
        return f"node {node} cannot serve the view {view}: {listed[view].message or 'it does not say why'}"
    return "" if view in each.views else f"the agent on node {node} reported nothing for the view {view}"


def _of_agent(gap: agent_pb2.Gap) -> tuple[str, str]:
    """Return container ID and view of an agent's own gap: its message begins with the view's name and a colon."""
    return gap.container.container_id, gap.message.partition(":")[0]


def _gap(node: str, state: agent_pb2.ContainerState, why: str) -> agent_pb2.Gap:
    return agent_pb2.Gap(
        node=node,
        reason=VIEW_UNSUPPORTED,
        message=why,
        container=state.container,
        start_time_unix_nanoseconds=state.start_time_unix_nanoseconds,
        end_time_unix_nanoseconds=state.end_time_unix_nanoseconds,
    )

"""Views that a session asks for and a node does not serve: a gap of each container, never a silent zero. Pure."""

from collections.abc import Iterable, Iterator

from kubestrace_operator.sessions.node_state import NodeState, is_traced
from kubestrace_operator.status.progress import VIEW_UNSUPPORTED
from kubestrace_protos.v1 import agent_pb2


def gaps(node: NodeState, wanted: Iterable[str]) -> Iterator[agent_pb2.Gap]:
    """Yield a gap for each container and view that the agents of a node did not serve; `wanted` are names of views.

    An agent that is older than a view does not list it and drops the request for it. Containers whose agent has
    reported such a gap itself get no second one.
    """
    wanted = list(wanted)
    for report in (each.read() for each in node.reports.values()):
        reported = {_of_agent(gap) for gap in report.trust.gaps if gap.reason == VIEW_UNSUPPORTED}
        for each in report.containers:
            for view in wanted if is_traced(each.state) else ():
                why = _why(node, report.agent_id, each, view)
                container_id = each.state.container.container_id
                if why and (container_id, view) not in reported:
                    yield _gap(node.node, each.state, why)


def _why(node: NodeState, agent_id: str, each: agent_pb2.ContainerReport, view: str) -> str:
    """Return why a container has no result for a view; empty: it has one."""
    described = node.described.get(agent_id)
    listed = {support.name: support for support in described.views} if described else {}
    if described and view not in listed:
        version = f" ({described.agent_version})" if described.agent_version else ""
        return f"the agent on node {node.node}{version} does not know the view {view}: update it"
    if view in listed and not listed[view].available:
        return f"node {node.node} cannot serve the view {view}: {listed[view].message or 'it does not say why'}"
    return "" if view in each.views else f"the agent on node {node.node} reported nothing for the view {view}"


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

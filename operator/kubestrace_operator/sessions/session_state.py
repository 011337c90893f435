"""What a session knows: its pods, its nodes, where it stands; and the status that says so."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from kubestrace_operator.agents.reports import check_rows, clean, clean_outline
from kubestrace_operator.api import conditions
from kubestrace_operator.api.conditions import Outcome
from kubestrace_operator.results import merge
from kubestrace_operator.results.merge import Merged, Trust
from kubestrace_operator.sessions import live_status, outcomes, usable_reports, view_support
from kubestrace_operator.sessions.node_state import KeptReport, NodeState, is_traced
from kubestrace_operator.sessions.outcomes import Summary
from kubestrace_operator.sessions.peer_names import PeerNames
from kubestrace_operator.sessions.targets import ChosenPod, Found
from kubestrace_operator.status import builder
from kubestrace_operator.status.progress import MAX_PODS_REACHED, Failure, Progress, Targets
from kubestrace_protos.v1 import agent_pb2

if TYPE_CHECKING:
    from kubestrace_operator.comparison.baseline import Compared, Unusable
    from kubestrace_operator.views import registry

# Gaps that only the operator knows of: they are taken over from what an earlier operator wrote.
_OPERATORS_GAPS = frozenset({"AgentRestarted", "AgentUnavailable"})
# Why sessions end before any agent was asked to trace: no pod failed then.
_REFUSED = frozenset({"InvalidSpec", "NotAuthorized"})


class _SeenPod(NamedTuple):
    """A pod that was chosen at some time, as it was last seen."""

    name: str
    node: str
    # One of its wanted containers ran.
    ran: bool
    # What they waited for otherwise.
    waiting: str
    # What agents know it by: of a static pod this is not its UID in the API.
    kubelet_uid: str


class _Kept(NamedTuple):
    """The latest report of one agent, and whose it is."""

    report: KeptReport
    node: str
    # What the agent says of itself; None: nothing.
    described: agent_pb2.DescribeResponse | None


class SessionState:
    """Everything that a status is made of."""

    def __init__(self, generation: int, known_status: Mapping[str, Any], now: Callable[[], datetime]) -> None:
        """`known_status` is what an earlier operator wrote of this session, or nothing."""
        self.generation = generation
        # Whether the spec chose some system calls.
        self.filtered = False
        self.now = now
        self.start = _moment(known_status.get("startTime"))
        self.completion: datetime | None = None
        self.outcome = Outcome(conditions.PENDING, "Pending", "Seen by the operator.")
        # The settings of the views that are on.
        self.views: registry.Chosen = {}
        self.duration_seconds: int | None = None
        self.nodes: dict[str, NodeState] = {}
        # None: the pods were not listed yet.
        self.found: Found | None = None
        # How often the session was suspended while it traced: each time its traces begin anew, by another name.
        self.suspensions = int(known_status.get("suspensions") or 0)
        self.peers = PeerNames()
        # What it has used of its namespace's container-seconds; None: that is not counted.
        self.container_seconds: Callable[[], int | None] = lambda: None
        # What the result is compared with, or why with nothing; None: not known yet, or nobody asked.
        self.compared: Compared | Unusable | None = None
        self._taken_up = self.start is not None
        # All that were ever chosen, by UID: a rollout may bring thousands.
        self._pods: dict[str, _SeenPod] = {}
        self._conditions: list[Mapping[str, Any]] = list(known_status.get("conditions") or ())
        self._nodes_before = {str(each["node"]) for each in known_status.get("containers") or () if each.get("node")}
        self._gaps_before = list((known_status.get("trust") or {}).get("gaps") or ())

    @property
    def first_seen(self) -> datetime | None:
        """When an operator first wrote that the session waits; a suspended one does not wait."""
        waiting = next((each for each in self._conditions if each.get("type") == "Reconciling"), {})
        return _moment(waiting.get("lastTransitionTime"))

    def begin_waiting(self) -> None:
        """Let the time that it waits count from now on."""
        self._conditions = [each for each in self._conditions if each.get("type") != "Reconciling"]

    @property
    def chosen(self) -> frozenset[str]:
        """The UIDs of the pods that are being traced, as they were last seen."""
        return frozenset(pod.uid for pod in self.found.pods) if self.found else frozenset()

    def note(self, found: Found) -> None:
        """Take over what the target means now."""
        self.found = found
        self._pods |= {pod.uid: _seen(pod) for pod in found.pods}

    @property
    def nodes_before(self) -> frozenset[str]:
        """The nodes that an earlier operator had traced, as far as its status says."""
        return frozenset(self._nodes_before)

    @property
    def counts_known(self) -> bool:
        """Whether the counts are what was counted; without a report those of an earlier operator are unknown."""
        return not self._taken_up or any(node.reports for node in self.nodes.values())

    def failures(self, *, final: bool = False) -> tuple[Failure, ...]:
        """Return what could not be traced; at the end that includes pods that never ran."""
        found = self.found.failures if self.found else ()
        of_nodes = [failure for node in self.nodes.values() for failure in node.failures()]
        return (*found, *of_nodes, *(self._never_ran() if final else ()))

    def _left_out(self) -> list[Failure]:
        """Return the pods that match and are not traced because of maxPods."""
        names = self.found.skipped if self.found else ()
        message = "matches, and is left out because maxPods is reached"
        return [Failure(MAX_PODS_REACHED, f"pod {name} {message}", pod=name) for name in names]

    def summary(self, seconds: float, *, final: bool = False) -> Summary:
        """Return what there is to say about the session."""
        traced = [state for node in self.nodes.values() for state in node.states() if is_traced(state)]
        kept, beside = self._kept(), self._beside_reports

        def merged() -> Merged:
            reports = [each.report.read() for each in kept]
            return merge.add([merge.totals(reports), beside(), self._view_gaps(kept, reports)])

        return Summary(
            merge=merged,
            failures=self.failures(final=final),
            skipped=self.found.skipped if self.found else (),
            skipped_count=self.found.skipped_count if self.found else 0,
            containers=len(traced),
            pods=len({state.container.pod_uid for state in traced}),
            nodes=sum(node.traced for node in self.nodes.values()),
            seconds=seconds,
            filtered=self.filtered,
        )

    def _kept(self) -> list[_Kept]:
        """Return the latest report of each agent."""
        return [
            _Kept(report, node.node, node.described.get(agent_id))
            for node in self.nodes.values()
            for agent_id, report in node.reports.items()
        ]

    def _view_gaps(self, kept: Sequence[_Kept], reports: Sequence[agent_pb2.Report]) -> Merged:
        """Return the gaps of views that agents did not serve; `reports` are what was kept, as it is read."""
        together = zip(kept, reports, strict=True)
        of_each = (view_support.gaps(each.node, each.described, report, self.views) for each, report in together)
        return Merged(trust=Trust(gaps=list(chain.from_iterable(of_each))))

    def _beside_reports(self) -> Merged:
        """Return the gaps of nodes, which no report tells of."""
        gaps = [gap for node in self.nodes.values() for gap in node.gaps()]
        return Merged(trust=Trust(gaps=gaps + self._old_gaps()))

    def snapshot(self) -> Callable[[], dict[str, Any]]:
        """Return what makes the status as of now: totals while it goes on, everything at the end.

        What is returned may run beside the event loop.
        """
        kept, of_nodes, progress = self._kept(), self._beside_reports(), self._progress()
        previous, now, suspensions = list(self._conditions), self.now(), self._suspensions()

        final = progress.outcome.finished

        def status(of: Sequence[agent_pb2.Report], more: Merged) -> dict[str, Any]:
            if final:
                # Of a node whose final report never came the last one was not looked at so closely.
                for each in (report for report in of if not report.final):
                    check_rows(each)
            merged = (merge.merge if final else merge.totals)(of)
            return builder.status(merge.add([merged, more]), progress, now=now, previous_conditions=previous)

        def build() -> dict[str, Any]:
            reports = [each.report.read() for each in kept]
            for report in reports:
                clean(report) if final else clean_outline(report)
            beside = merge.add([of_nodes, self._view_gaps(kept, reports)])
            document = usable_reports.status(reports, beside, status)
            return (document if final else live_status.totals(document)) | suspensions

        return build

    def note_written(self, document: Mapping[str, Any]) -> None:
        """Take over what was written: the conditions say since when they are what they are."""
        self._conditions = list(document["conditions"])

    def minimal(self) -> dict[str, Any]:
        """Return a status that only says where the session stands."""
        document = builder.minimal(self._progress(), now=self.now(), previous_conditions=self._conditions)
        return document | self._suspensions()

    def suspended(self, outcome: Outcome) -> dict[str, Any]:
        """Take over that the session is suspended, drop what it counted, and return the status that says so."""
        if self.start is not None:
            self.suspensions += 1
        self.outcome, self.start = outcome, None
        progress = Progress(outcome=outcome, generation=self.generation)
        document = builder.status(Merged(), progress, now=self.now(), previous_conditions=self._conditions)
        return document | self._suspensions()

    def containers_now(self) -> int:
        """Return how many containers are traced now, as far as their agents have said."""
        phase = agent_pb2.ContainerState.PHASE_TRACING
        return sum(state.phase == phase for node in self.nodes.values() for state in node.states())

    def _suspensions(self) -> dict[str, int]:
        """Return what is beside the counts: how often it was suspended, and what it has used."""
        used = self.container_seconds()
        suspended = {"suspensions": self.suspensions} if self.suspensions else {}
        return suspended | ({"containerSeconds": used} if used is not None else {})

    def _progress(self) -> Progress:
        final = self.outcome.finished
        tracing = self.outcome.phase == conditions.TRACING
        return Progress(
            outcome=outcomes.tracing(self.summary(0)) if tracing else self.outcome,
            generation=self.generation,
            start=self.start,
            completion=self.completion,
            filtered=self.filtered,
            targets=self._targets(final=final),
            failures=(*self.failures(final=final and self.outcome.reason not in _REFUSED), *self._left_out()),
            cgroup_modes=frozenset(node.cgroup_mode for node in self.nodes.values() if node.cgroup_mode),
            architectures=frozenset(
                node.architecture for node in self.nodes.values() if node.architecture and node.traced
            ),
            views=self.views,
            duration_seconds=self.duration_seconds,
            # Rows of views are written at the end.
            peer_names=self.peers.names() if final else {},
            compared=self.compared,
        )

    def _targets(self, *, final: bool) -> Targets:
        states = [state for node in self.nodes.values() for state in node.states()]
        traced = {state.container.pod_uid for state in states if is_traced(state)}
        tracing_phase = agent_pb2.ContainerState.PHASE_TRACING
        tracing = set() if final else {each.container.pod_uid for each in states if each.phase == tracing_phase}
        # By the UID that agents know: a static pod has another one in the API.
        pods = {pod.kubelet_uid for pod in self._pods.values()} | traced
        failed = (pods if final else self._failed_pods()) - traced
        skipped = self.found.skipped_count + len(self.found.without_container) if self.found else 0
        return Targets(len(pods) + skipped, len(tracing), len(traced - tracing), len(failed), skipped)

    def _failed_pods(self) -> set[str]:
        failed_nodes = {node.node for node in self.nodes.values() if node.failure is not None}
        states = [state for node in self.nodes.values() for state in node.states()]
        return {pod.kubelet_uid for pod in self._pods.values() if pod.node in failed_nodes} | {
            state.container.pod_uid for state in states if not is_traced(state)
        }

    def _never_ran(self) -> list[Failure]:
        known = {state.container.pod_uid for node in self.nodes.values() for state in node.states()}
        known |= self._failed_pods()
        return [_never(pod) for pod in self._pods.values() if pod.kubelet_uid not in known]

    def _old_gaps(self) -> list[agent_pb2.Gap]:
        """Return the gaps of an earlier operator; what the lost agents had counted went with that operator."""
        start = int(self.start.timestamp() * 1e9) if self.start else 0
        return [
            agent_pb2.Gap(
                node=gap.get("node", ""),
                reason=gap["reason"],
                message=gap.get("message", ""),
                start_time_unix_nanoseconds=start,
                end_time_unix_nanoseconds=int(end.timestamp() * 1e9) if end else 0,
            )
            for gap in self._gaps_before
            if gap.get("reason") in _OPERATORS_GAPS and gap.get("node") and not gap.get("container")
            for end in [_moment(gap.get("endTime"))]
        ]


def _seen(pod: ChosenPod) -> _SeenPod:
    waiting = "" if pod.running else "; ".join(pod.waiting)
    return _SeenPod(pod.name, pod.node, bool(pod.running), waiting, pod.kubelet_uid)


def _never(pod: _SeenPod) -> Failure:
    """Say why a pod that matched was never traced, and no node had a reason."""
    if pod.ran:
        return Failure("AgentUnavailable", "no kubestrace agent was ready to trace it", pod.node, pod.name)
    return Failure("NotRunning", pod.waiting or f"pod {pod.name} has ended", pod.node, pod.name)


def _moment(text: object) -> datetime | None:
    if not isinstance(text, str):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None

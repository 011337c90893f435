"""What a person asked for: the spec of a TraceSession, parsed and checked.

The CRD's schema refuses most of what is refused here, but a session may be older than the schema, and local mode reads
files that no API server has seen. Which syscall names exist only the agents know: patterns are checked there.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kubestrace_operator.api import fields
from kubestrace_operator.views import profiles, registry
from kubestrace_operator.views.profiles import Profile
from kubestrace_protos.v1 import redaction
from kubestrace_protos.v1.limits import MAX_DURATION_SECONDS

DEFAULT_DURATION_SECONDS = 30
DEFAULT_MAX_PODS = 20
MAX_MAX_PODS = 500
WORKLOAD_KINDS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job")
MAX_TTL_SECONDS = 2**31 - 1
_FIELDS = (
    *("target", "durationSeconds", "syscalls", "profile", "views", "redact", "compareTo"),
    *("cancel", "suspend", "ttlSecondsAfterFinished"),
)
_TARGET_FIELDS = (
    *("podName", "selector", "workload"),
    *("containers", "initContainers", "ephemeralContainers", "maxPods"),
)
OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")
# As the API server has them. Names go into paths and queries: nothing else may be in them.
NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
DNS_LABEL = re.compile(r"(?=.{1,63}\Z)[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LABEL = r"(?=.{1,63}\Z)[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?"
LABEL_VALUE = re.compile(rf"({_LABEL})?")
LABEL_NAME = re.compile(_LABEL)


class InvalidSpecError(ValueError):
    """A spec that cannot be served; `problems` holds one sentence for each thing that is wrong with it."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class Requirement:
    """One line of a selector's matchExpressions."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Selector:
    """A label selector; an empty one selects every pod of the namespace."""

    match_labels: tuple[tuple[str, str], ...] = ()
    match_expressions: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether an object with these labels is selected."""
        return all(labels.get(key) == value for key, value in self.match_labels) and all(
            _meets(labels, requirement) for requirement in self.match_expressions
        )

    def query(self) -> str:
        """Return the selector as the API server's labelSelector parameter takes it."""
        terms = [f"{key}={value}" for key, value in self.match_labels]
        return ",".join(terms + [_term(requirement) for requirement in self.match_expressions])


@dataclass(frozen=True)
class Workload:
    """A workload in the session's namespace."""

    kind: str
    name: str


@dataclass(frozen=True)
class Target:
    """Which pods and containers to trace; exactly one of `pod_name`, `selector` and `workload` is set."""

    pod_name: str | None = None
    selector: Selector | None = None
    workload: Workload | None = None
    # Empty: every container.
    containers: tuple[str, ...] = ()
    # Where no containers are named: whether those that end before the app starts, and those of people who debug, too.
    init_containers: bool = True
    ephemeral_containers: bool = True
    max_pods: int = DEFAULT_MAX_PODS


@dataclass(frozen=True)
class TraceSpec:
    """A checked spec; `target` is None only where the caller said that it may be missing."""

    target: Target | None
    duration_seconds: int = DEFAULT_DURATION_SECONDS
    syscalls: tuple[str, ...] = ()
    cancel: bool = False
    # The session does not start, or stops and starts anew later.
    suspend: bool = False
    profile: Profile = profiles.DEFAULT
    # The settings of the views that are on.
    views: registry.Chosen = field(default_factory=dict)
    # Patterns of paths, peers and texts that are not shown.
    redact: tuple[str, ...] = ()
    # None: the session is never deleted by itself.
    ttl_seconds: int | None = None
    # An earlier session of the same namespace; empty: none.
    compare_to: str = ""


def parse(spec: Mapping[str, Any] | None, *, target_required: bool = True) -> TraceSpec:
    """Return the checked spec. Raises InvalidSpecError with every problem that there is.

    Local mode names its target on the command line, so a target may be missing there (`target_required=False`).
    """
    top = fields.Fields(spec, "spec", list(_FIELDS))
    target = _target(top, required=target_required)
    duration_seconds = top.integer("durationSeconds", DEFAULT_DURATION_SECONDS, 1, MAX_DURATION_SECONDS)
    profile = _profile(top)
    parsed = TraceSpec(
        target=target,
        duration_seconds=duration_seconds,
        syscalls=top.strings("syscalls"),
        cancel=top.boolean("cancel"),
        suspend=top.boolean("suspend"),
        ttl_seconds=top.integer("ttlSecondsAfterFinished", 0, 0, MAX_TTL_SECONDS)
        if top.has("ttlSecondsAfterFinished")
        else None,
        profile=profile,
        redact=_redact(top),
        views=_views(top, profile, duration_seconds),
        compare_to=top.named("compareTo", NAME, "a session's name") if top.has("compareTo") else "",
    )
    if top.problems:
        raise InvalidSpecError(tuple(top.problems))
    return parsed


def parse_selector(selector: Mapping[str, Any] | None) -> Selector:
    """Return a workload's own spec.selector. Raises InvalidSpecError."""
    top = fields.Fields({"selector": selector}, "spec", ["selector"])
    parsed = _selector(top)
    if top.problems:
        raise InvalidSpecError(tuple(top.problems))
    return parsed


def _target(top: fields.Fields, *, required: bool) -> Target | None:
    if not top.has("target"):
        if required:
            top.problem("target", "is missing: name a podName, a selector or a workload")
        return None
    target = top.nested("target", list(_TARGET_FIELDS))
    given = [name for name in ("podName", "selector", "workload") if target.has(name)]
    if len(given) != 1:
        found = f"{' and '.join(given)} are given" if given else "none is given"
        top.problem("target", f"needs exactly one of podName, selector and workload; {found}")
    return Target(
        pod_name=target.named("podName", NAME, "a pod's name") if target.has("podName") else None,
        selector=_selector(target) if target.has("selector") else None,
        workload=_workload(target) if target.has("workload") else None,
        containers=_containers(target),
        init_containers=target.boolean("initContainers", default=True),
        ephemeral_containers=target.boolean("ephemeralContainers", default=True),
        max_pods=target.integer("maxPods", DEFAULT_MAX_PODS, 1, MAX_MAX_PODS),
    )


def _workload(target: fields.Fields) -> Workload:
    workload = target.nested("workload", ["kind", "name"])
    return Workload(workload.choice("kind", WORKLOAD_KINDS), workload.named("name", NAME, "a workload's name"))


def _profile(top: fields.Fields) -> Profile:
    if not top.has("profile"):
        return profiles.DEFAULT
    name = top.choice("profile", registry.PROFILES)
    return Profile(name) if name in registry.PROFILES else profiles.DEFAULT


def _redact(top: fields.Fields) -> tuple[str, ...]:
    patterns = top.strings("redact")
    for where, problem in redaction.problems(patterns):
        top.problem(f"redact{where}", problem)
    return patterns


def _views(top: fields.Fields, profile: Profile, duration_seconds: int) -> registry.Chosen:
    """Return the settings of the views that are on.

    These are those of the profile and those that are named, also with null, but for `enabled: false`.
    """
    of_profile = registry.in_profile(profile)
    views = top.nested("views", [view.name for view in registry.CHOOSABLE])
    settings = {}
    for view in registry.CHOOSABLE:
        if view in of_profile or views.names(view.name):
            given = views.nested(view.name, ["enabled", *view.fields])
            settings[view.name] = view.parse(given, duration_seconds)
            if not given.boolean("enabled", default=True):
                del settings[view.name]
    return settings


def _containers(target: fields.Fields) -> tuple[str, ...]:
    names = target.strings("containers")
    for index, name in enumerate(names):
        if name and not DNS_LABEL.fullmatch(name):
            target.problem(f"containers[{index}]", f"is {name!r}, which is not a container's name")
    return names


def _selector(parent: fields.Fields) -> Selector:
    selector = parent.nested("selector", ["matchLabels", "matchExpressions"])
    requirements = selector.each("matchExpressions", ["key", "operator", "values"])
    labels = selector.string_map("matchLabels")
    for key, value in labels.items():
        _check_label(selector, "matchLabels", key, [value])
    return Selector(tuple(sorted(labels.items())), tuple(_requirement(each) for each in requirements))


def _check_label(place: fields.Fields, where: str, key: str, values: Iterable[str]) -> None:
    """Note labels that the API server would refuse, and with them every list of pods."""
    prefix, slash, name = key.rpartition("/")
    if (slash and not NAME.fullmatch(prefix)) or not LABEL_NAME.fullmatch(name):
        place.problem(where, f"has the key {key!r}, which is not a label's name")
    for value in values:
        if not LABEL_VALUE.fullmatch(value):
            place.problem(where, f"has the value {value!r}, which is not a label's value")


def _requirement(each: fields.Fields) -> Requirement:
    key, operator, values = each.string("key"), each.choice("operator", OPERATORS), each.strings("values")
    if key:
        _check_label(each, "key", key, values)
    if operator in {"In", "NotIn"} and not values:
        each.problem("values", f"is empty: the operator {operator} needs at least one value")
    if operator in {"Exists", "DoesNotExist"} and values:
        each.problem("values", f"is given: the operator {operator} takes no values")
    return Requirement(key, operator, values)


def _meets(labels: Mapping[str, str], requirement: Requirement) -> bool:
    match requirement.operator:
        case "In":
            return labels.get(requirement.key) in requirement.values
        case "NotIn":
            return labels.get(requirement.key) not in requirement.values
        case "Exists":
            return requirement.key in labels
        case _:
            return requirement.key not in labels


def _term(requirement: Requirement) -> str:
    match requirement.operator:
        case "In" | "NotIn":
            return f"{requirement.key} {requirement.operator.lower()} ({','.join(requirement.values)})"
        case "Exists":
            return requirement.key
        case _:
            return f"!{requirement.key}"

"""The operator's parsers of what agents and authors of sessions give it."""

import contextlib
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from fuzzing import JSON, WORDS_OF_TEXT, Target, like, messages
from google.protobuf import any_pb2
from hypothesis import strategies as st

from kubestrace_operator.agents import reports
from kubestrace_operator.api import applied, conditions
from kubestrace_operator.api.conditions import Outcome
from kubestrace_operator.api.spec import InvalidSpecError, parse
from kubestrace_operator.results import merge
from kubestrace_operator.results.merge import Merged
from kubestrace_operator.sessions import requests, usable_reports
from kubestrace_operator.status import builder
from kubestrace_operator.status.progress import Progress
from kubestrace_operator.views.registry import CHOOSABLE, VIEWS
from kubestrace_protos.v1 import agent_pb2

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _schema(part: str) -> dict[str, Any]:
    template = (ROOT / "charts/kubestrace/templates/crd.yaml").read_text()
    lines = [line for line in template.splitlines() if not line.lstrip().startswith("{{")]
    (version,) = yaml.safe_load("\n".join(lines))["spec"]["versions"]
    schema: dict[str, Any] = version["schema"]["openAPIV3Schema"]["properties"][part]
    return schema


_STATUS = _schema("status")


def _on(name: str) -> dict[str, Any]:
    """Return a spec that has a view, with the least that it needs."""
    return {"target": {"podName": "a"}, "durationSeconds": 30, "profile": "Counts", "views": {name: {}}}


# Each view with its defaults.
_SETTINGS = {name: value for view in CHOOSABLE for name, value in parse(_on(view.name)).views.items()}


def _packed(result: Any) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(result)
    return packed


_RESULTS = st.fixed_dictionaries(
    {}, optional={view.name: messages(view.result_type, {}).map(_packed) for view in VIEWS}
)
_PREFIX = "kubestrace.v1"
_WORD = st.sampled_from(("read", "openat", "getppid"))
_REASON = st.sampled_from(("Failed", "LateAttach"))
_BUCKETS = st.lists(st.tuples(st.integers(0, 900), st.integers(0, 2**40)), max_size=4).map(
    lambda pairs: {"buckets": [pair[0] for pair in pairs], "counts": [pair[1] for pair in pairs]}
)
# What the check refuses at once would hide the rest.
_SPECIAL = {
    f"{_PREFIX}.Report.session_uid": st.just("u1"),
    f"{_PREFIX}.Report.node": st.just("n1"),
    f"{_PREFIX}.Report.agent_id": st.just("a"),
    f"{_PREFIX}.Container.pod_namespace": st.just("shop"),
    f"{_PREFIX}.ContainerState.reason": st.one_of(st.just(""), _REASON),
    f"{_PREFIX}.Gap.reason": _REASON,
    f"{_PREFIX}.SyscallCounts.name": _WORD,
    f"{_PREFIX}.SyscallCounts.abi": st.sampled_from(("", "i386")),
    f"{_PREFIX}.SyscallCounts.latency": _BUCKETS,
    f"{_PREFIX}.ContainerReport.unreturned_names": st.lists(_WORD, max_size=2),
    f"{_PREFIX}.ContainerReport.views": _RESULTS,
}


def _accepted(report: Any) -> bool:
    # As a person sees it: without these a report is one of another session, or has a container of no namespace.
    report.session_uid, report.node, report.agent_id = "u1", "n1", "a"
    for each in report.containers:
        each.state.container.pod_namespace = "shop"
        for gap in each.trust.gaps:
            gap.reason = gap.reason or "Failed"
        for row in each.syscalls:
            row.name = row.name or "read"
    for gap in report.trust.gaps:
        gap.reason = gap.reason or "Failed"
    try:
        reports.check(report, session_uid="u1", node="n1", namespace="shop")
    except reports.InvalidReportError:
        return False
    return True


def _honest() -> agent_pb2.Report:
    """Return the report of another node, whose result must not be lost."""
    made = agent_pb2.Report(session_uid="u1", node="n2", agent_id="b", final=True)
    container = agent_pb2.Container(pod_namespace="shop", pod_name="b", container_name="app", container_id="c2")
    state = agent_pb2.ContainerState(container=container, phase=agent_pb2.ContainerState.PHASE_TRACING)
    made.containers.add(state=state).syscalls.add(name="getppid", calls=7, timed=7, total_nanoseconds=70)
    return made


def _report(report: Any) -> None:
    """Whatever an agent says, and is accepted: what another one says becomes a status that the API server takes."""
    if not _accepted(report):
        return
    outcome = Outcome(conditions.SUCCEEDED, "Completed", "Done.")
    progress = Progress(
        outcome, start=NOW - timedelta(seconds=30), completion=NOW, views=_SETTINGS, duration_seconds=30
    )
    both = [_honest(), report]
    for each in both:
        reports.clean(each)
    document = usable_reports.status(
        both, Merged(), lambda of, more: builder.status(merge.add([merge.merge(of), more]), progress, now=NOW)
    )
    usable_reports.status(both, Merged(), lambda of, more: {"calls": merge.add([merge.totals(of), more]).calls})
    assert len(json.dumps(document, allow_nan=False)) <= 2 * builder.MAX_STATUS_BYTES
    assert not [each for each in _strings(document) if not each.replace("\n", "").isprintable()]
    assert document["summary"]["calls"] >= 7
    wrong = list(_wrong(_STATUS, document, "status"))
    assert not wrong, wrong


def _wrong(schema: dict[str, Any], value: Any, at: str) -> Iterator[str]:
    """Yield why the API server would refuse a value: as far as a report can make it so."""
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int}
    if not isinstance(value, kinds.get(schema.get("type", ""), object)) and not (
        schema.get("type") == "number" and isinstance(value, (int, float))
    ):
        yield f"{at} is no {schema['type']}"
    elif isinstance(value, dict):
        known = schema.get("properties", {})
        yield from (f"{at} lacks {name}" for name in schema.get("required", ()) if name not in value)
        for name, each in value.items():
            yield from _wrong(known.get(name) or schema.get("additionalProperties") or {}, each, f"{at}.{name}")
    elif isinstance(value, list):
        if len(value) > schema.get("maxItems", 10**9):
            yield f"{at} has {len(value)} items"
        for each in value:
            yield from _wrong(schema.get("items", {}), each, f"{at}[]")
    else:
        yield from (f"{at} is {value!r:.60}" for wrong in _outside(schema, value) if wrong)


def _outside(schema: dict[str, Any], value: Any) -> Iterator[bool]:
    if "enum" in schema:
        yield value not in schema["enum"]
    if isinstance(value, str):
        yield not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", 10**9)
        yield "pattern" in schema and not re.search(schema["pattern"], value)
    elif not isinstance(value, bool):
        bits = 31 if schema.get("format") == "int32" else 63
        yield not schema.get("minimum", -(2**63)) <= value <= schema.get("maximum", 2**bits - 1)


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for each in inner for text in _strings(each)]


def _bytes(data: bytes) -> None:
    """What comes over the wire, as far as it is a message at all."""
    report = agent_pb2.Report()
    try:
        report.ParseFromString(data)
    except Exception:  # noqa: BLE001 -- DecodeError is gRPC's to refuse
        return
    _report(report)


def _spec(given: Any) -> None:
    with contextlib.suppress(InvalidSpecError):
        parsed = parse(given)
        assert 1 <= parsed.duration_seconds <= 3600
        assert parsed.target is not None
        assert 1 <= parsed.target.max_pods <= 500


def _object(body: dict[str, Any]) -> None:
    """An object with any spec and any annotations, as any API server may hold it."""
    told = requests.read(body, proven=True)
    assert told.sentence().isprintable()
    assert len(told.sentence()) < 3000
    json.dumps(told.fields())


_SPECS = like(_schema("spec"))
_ANNOTATIONS = st.dictionaries(
    st.sampled_from((applied.ANNOTATION, requests.REQUESTED_BY)),
    st.one_of(
        JSON.map(json.dumps), WORDS_OF_TEXT, st.just("[" * 100_000), st.just('{"spec":{"views":{"files":null}}}')
    ),
)
_OBJECTS = st.fixed_dictionaries(
    {"spec": st.one_of(_SPECS.filter(lambda spec: isinstance(spec, dict)), st.just({}))},
    optional={"metadata": st.fixed_dictionaries({"annotations": st.one_of(st.none(), _ANNOTATIONS)})},
)

TARGETS = (
    Target("operator: reports", messages(agent_pb2.Report, _SPECIAL, 4), _report),
    Target("operator: bytes of reports", st.binary(max_size=400), _bytes),
    Target("operator: specs", st.one_of(_SPECS, JSON), _spec),
    Target("operator: objects", _OBJECTS, _object),
)

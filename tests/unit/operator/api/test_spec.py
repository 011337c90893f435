"""What a person may ask for, and how wrong requests are answered."""

from typing import Any

import pytest

from kubestrace_operator.api.spec import (
    InvalidSpecError,
    Requirement,
    Selector,
    Target,
    TraceSpec,
    Workload,
    parse,
)
from kubestrace_operator.views import cpu_time, processes, slow_calls, timeline
from kubestrace_operator.views.registry import CHOOSABLE
from kubestrace_operator.views.view import View


def problems(spec: Any) -> str:
    """Return what is wrong with a spec."""
    with pytest.raises(InvalidSpecError) as raised:
        parse(spec)
    return str(raised.value)


def test_everything_that_is_left_out_has_a_default() -> None:
    """The shortest spec."""
    assert parse({"target": {"podName": "a"}}) == TraceSpec(Target(pod_name="a", max_pods=20), 30, (), cancel=False)


def test_everything_that_can_be_said() -> None:
    """The longest spec."""
    spec = {
        "target": {"workload": {"kind": "Job", "name": "night"}, "containers": ["app"], "maxPods": 3},
        "durationSeconds": 3600,
        "syscalls": ["%file", "!stat"],
        "cancel": True,
        "compareTo": "healthy-checkout",
    }

    assert parse(spec) == TraceSpec(
        Target(workload=Workload("Job", "night"), containers=("app",), max_pods=3),
        3600,
        ("%file", "!stat"),
        cancel=True,
        compare_to="healthy-checkout",
    )


@pytest.mark.parametrize("name", ["", "../pods", "Upper", "a" * 254, 7, "a?b"])
def test_a_baseline_has_the_name_of_an_object(name: Any) -> None:
    """It goes into a path."""
    with pytest.raises(InvalidSpecError, match=r"spec\.compareTo"):
        parse({"target": {"podName": "a"}, "compareTo": name})


def test_every_problem_is_named_at_once() -> None:
    """Each says where and what; one round of editing is enough."""
    found = problems(
        {
            "target": {"podName": "a", "workload": {"kind": "Cron"}, "containers": ["", 3], "maxPods": True},
            "durationSeconds": "30",
            "syscalls": "read",
            "views": {"weather": {}},
        }
    )

    assert "spec.target needs exactly one of podName, selector and workload; podName and workload are given" in found
    assert "spec.target.workload.kind is 'Cron'; it must be one of Deployment" in found
    assert "spec.target.workload.name is missing" in found
    assert "spec.target.containers[0] must be a non-empty string, not ''" in found
    assert "spec.target.containers[1]" in found
    assert "spec.target.maxPods must be a whole number, not True" in found
    assert "spec.durationSeconds must be a whole number, not '30'" in found
    assert "spec.syscalls must be a list" in found
    assert "spec.views.weather is not a field of this version" in found


@pytest.mark.parametrize("seconds", [0, 3601, -1])
def test_a_duration_has_bounds(seconds: int) -> None:
    """From one second to one hour."""
    assert "from 1 to 3600" in problems({"target": {"podName": "a"}, "durationSeconds": seconds})


@pytest.mark.parametrize("spec", [None, {}, {"target": None}])
def test_a_target_is_needed(spec: Any) -> None:
    """Without one nothing can be traced."""
    assert "spec.target is missing" in problems(spec)


def test_local_mode_needs_no_target() -> None:
    """There the command line names it."""
    assert parse({"durationSeconds": 5}, target_required=False) == TraceSpec(None, 5)


@pytest.mark.parametrize("target", ["a", [], {"selector": []}, {"selector": {"matchLabels": {"a": 1}}}])
def test_wrong_shapes_are_answered_not_raised(target: Any) -> None:
    """A file that no API server has seen may hold anything."""
    assert problems({"target": target})


@pytest.mark.parametrize(
    ("requirement", "labels", "matches"),
    [
        (("tier", "In", ("web", "db")), {"tier": "db"}, True),
        (("tier", "In", ("web", "db")), {}, False),
        (("tier", "NotIn", ("web",)), {"tier": "web"}, False),
        (("tier", "NotIn", ("web",)), {}, True),
        (("tier", "Exists"), {"tier": ""}, True),
        (("tier", "Exists"), {}, False),
        (("tier", "DoesNotExist"), {}, True),
        (("tier", "DoesNotExist"), {"tier": "web"}, False),
    ],
)
def test_requirements_match_as_in_kubernetes(
    requirement: tuple[Any, ...], labels: dict[str, str], matches: bool
) -> None:
    """The four operators, with and without the label."""
    assert Selector(match_expressions=(Requirement(*requirement),)).matches(labels) is matches


def test_a_selector_as_the_api_server_takes_it() -> None:
    """All kinds of terms in one query."""
    selector = parse(
        {
            "target": {
                "selector": {
                    "matchLabels": {"app": "shop"},
                    "matchExpressions": [
                        {"key": "tier", "operator": "In", "values": ["web", "db"]},
                        {"key": "zone", "operator": "NotIn", "values": ["a"]},
                        {"key": "x", "operator": "Exists"},
                        {"key": "y", "operator": "DoesNotExist"},
                    ],
                }
            }
        }
    ).target

    assert selector is not None
    assert selector.selector is not None
    assert selector.selector.query() == "app=shop,tier in (web,db),zone notin (a),x,!y"


@pytest.mark.parametrize(("operator", "values"), [("In", []), ("NotIn", []), ("Exists", ["a"]), ("Near", [])])
def test_operators_and_values_must_fit(operator: str, values: list[str]) -> None:
    """In and NotIn need values, the others take none."""
    expression = {"key": "tier", "operator": operator, "values": values}

    assert "matchExpressions[0]" in problems({"target": {"selector": {"matchExpressions": [expression]}}})


@pytest.mark.parametrize(
    "target",
    [
        {"podName": "a,b"},
        {"podName": "A"},
        {"podName": "x" * 254},
        {"workload": {"kind": "Job", "name": "../../kube-system/jobs/a"}},
        {"podName": "a", "containers": ["a.b"]},
        {"selector": {"matchLabels": {"app": "a b"}}},
        {"selector": {"matchLabels": {"app": "x" * 64}}},
        {"selector": {"matchLabels": {"UPPER/bad/key": "a"}}},
        {"selector": {"matchLabels": {"app,x": "a"}}},
        {"selector": {"matchLabels": {"bad key!": "a"}}},
        {"selector": {"matchExpressions": [{"key": "a=b", "operator": "Exists"}]}},
        {"selector": {"matchExpressions": [{"key": "a", "operator": "In", "values": ["b)"]}]}},
    ],
)
def test_names_and_labels_are_those_that_kubernetes_knows(target: Any) -> None:
    """They go into paths and queries: what the API server would misread or refuse is refused here, in words."""
    assert "which is not " in problems({"target": target})


def test_labels_with_a_prefix_and_without_a_value() -> None:
    """Both are right."""
    spec = parse({"target": {"selector": {"matchLabels": {"app.kubernetes.io/name": "", "a_B.c-d": "X_y.z-1"}}}})

    assert spec.target is not None


def test_slow_calls_have_defaults() -> None:
    """An empty view is one with the usual threshold and limit; without it the view is off."""
    target = {"podName": "a"}

    assert parse({"target": target}).views == {}
    assert parse({"target": target, "views": {}}).views == {}
    assert parse({"target": target, "views": {"slowCalls": {}}}).views == {"slowCalls": slow_calls.Settings(10, 50)}
    assert parse({"target": target, "views": {"slowCalls": {"thresholdMilliseconds": 1, "limit": 200}}}).views == {
        "slowCalls": slow_calls.Settings(1, 200)
    }


def test_processes_have_a_default_and_bounds() -> None:
    """20; no fewer than 1 and no more than 100."""
    target = {"podName": "a"}

    assert parse({"target": target, "views": {"processes": {}}}).views == {"processes": processes.Settings(20)}
    assert parse({"target": target, "views": {"processes": {"top": 100}}}).views == {
        "processes": processes.Settings(100)
    }
    found = problems({"target": target, "views": {"processes": {"top": 101}}})
    assert "spec.views.processes.top is 101; it must be from 1 to 100" in found


def test_slow_calls_have_bounds() -> None:
    """The schema's."""
    found = problems(
        {"target": {"podName": "a"}, "views": {"slowCalls": {"thresholdMilliseconds": 0, "limit": 201, "stacks": 1}}}
    )

    assert "spec.views.slowCalls.thresholdMilliseconds is 0; it must be from 1 to 60000" in found
    assert "spec.views.slowCalls.limit is 201; it must be from 1 to 200" in found
    assert "spec.views.slowCalls.stacks" in found


@pytest.mark.parametrize(
    ("given", "seconds", "buckets"), [({}, 30, 60), ({}, 2, 20), ({"buckets": 240}, 24, 240), ({"buckets": 1}, 1, 1)]
)
def test_a_timeline_has_sixty_buckets_unless_said_otherwise(given: dict[str, int], seconds: int, buckets: int) -> None:
    """Fewer where a short session has no room for sixty."""
    spec = parse({"target": {"podName": "a"}, "durationSeconds": seconds, "views": {"timeline": given}})

    assert spec.views == {"timeline": timeline.Settings(buckets)}


@pytest.mark.parametrize("view", CHOOSABLE, ids=lambda view: view.name)
def test_a_view_that_is_named_is_on(view: View[Any, Any, Any]) -> None:
    """Also with null, which is what `errors:` is in YAML; `enabled: false` takes it out, whatever else it says."""
    on = parse({"target": {"podName": "a"}, "views": {view.name: {}}}).views

    def views(given: Any) -> Any:
        return parse({"target": {"podName": "a"}, "views": {view.name: given}}).views

    assert on.keys() == {view.name}
    assert views(None) == views({"enabled": True}) == views({"enabled": None}) == on
    assert views({"enabled": False}) == views({"enabled": False, **view.spec(on[view.name])}) == {}
    assert views(view.spec(on[view.name])) == on
    wrong = {"target": {"podName": "a"}, "views": {view.name: {"enabled": 1}}}
    assert f"spec.views.{view.name}.enabled must be true or false, not 1" in problems(wrong)


def test_a_timeline_is_off_unless_asked_for() -> None:
    """An empty mapping of views asks for none."""
    assert parse({"target": {"podName": "a"}, "views": {}}).views == {}


def test_buckets_that_are_too_short_are_refused() -> None:
    """The sentence says how many there is room for."""
    found = problems({"target": {"podName": "a"}, "durationSeconds": 5, "views": {"timeline": {"buckets": 51}}})

    assert found == ("spec.views.timeline.buckets is 51; a bucket is at least 100 ms long, and 5 s have room for 50")


def test_cpu_time_is_on_when_it_is_named() -> None:
    """It has no fields: one that is there is an error."""
    target = {"podName": "a"}

    assert parse({"target": target, "views": {"cpuTime": {}}}).views == {"cpuTime": cpu_time.Settings()}
    assert "spec.views.cpuTime.each is not a field of this version; it has enabled" in problems(
        {"target": target, "views": {"cpuTime": {"each": 1}}}
    )
    assert "spec.views.cpuTime must be a mapping, not True" in problems({"target": target, "views": {"cpuTime": True}})

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
from kubestrace_operator.views import counters, cpu_time, processes, registry, slow_calls, timeline
from kubestrace_operator.views.profiles import Profile
from kubestrace_operator.views.registry import CHOOSABLE, PROFILES, in_profile, overrides
from kubestrace_operator.views.view import View


def problems(spec: Any) -> str:
    """Return what is wrong with a spec."""
    with pytest.raises(InvalidSpecError) as raised:
        parse(spec)
    return str(raised.value)


def views(given: Any = None, **spec: Any) -> registry.Chosen:
    """Return the views of a spec whose profile has none, unless it is said otherwise."""
    asked = {"target": {"podName": "a"}, "profile": "Counts", "views": given} | spec
    return parse(asked).views


OVERVIEW = {"counters": counters.Settings()}


def test_everything_that_is_left_out_has_a_default() -> None:
    """The shortest spec."""
    target = Target(pod_name="a", max_pods=20)

    assert parse({"target": {"podName": "a"}}) == TraceSpec(target, 30, (), cancel=False, views=OVERVIEW)


def test_everything_that_can_be_said() -> None:
    """The longest spec."""
    spec = {
        "target": {"workload": {"kind": "Job", "name": "night"}, "containers": ["app"], "maxPods": 3},
        "durationSeconds": 3600,
        "syscalls": ["%file", "!stat"],
        "cancel": True,
        "profile": "Counts",
        "compareTo": "healthy-checkout",
    }

    assert parse(spec) == TraceSpec(
        Target(workload=Workload("Job", "night"), containers=("app",), max_pods=3),
        3600,
        ("%file", "!stat"),
        cancel=True,
        profile=Profile.COUNTS,
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
    assert parse({"durationSeconds": 5}, target_required=False) == TraceSpec(None, 5, views=OVERVIEW)


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
    assert views() == {}
    assert views({}) == {}
    assert views({"slowCalls": {}}) == {"slowCalls": slow_calls.Settings(10, 50)}
    assert views({"slowCalls": {"thresholdMilliseconds": 1, "limit": 200}}) == {
        "slowCalls": slow_calls.Settings(1, 200)
    }


def test_processes_have_a_default_and_bounds() -> None:
    """20; no fewer than 1 and no more than 100."""
    target = {"podName": "a"}

    assert views({"processes": {}}) == {"processes": processes.Settings(20)}
    assert views({"processes": {"top": 100}}) == {"processes": processes.Settings(100)}
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
    assert views({"timeline": given}, durationSeconds=seconds) == {"timeline": timeline.Settings(buckets)}


@pytest.mark.parametrize("view", CHOOSABLE, ids=lambda view: view.name)
def test_a_view_that_is_named_is_on(view: View[Any, Any, Any]) -> None:
    """Also with null, which is what `errors:` is in YAML; `enabled: false` takes it out, whatever else it says."""
    on = views({view.name: {}})

    def of_view(given: Any) -> Any:
        return views({view.name: given})

    assert on.keys() == {view.name}
    assert of_view(None) == of_view({"enabled": True}) == of_view({"enabled": None}) == on
    assert of_view({"enabled": False}) == of_view({"enabled": False, **view.spec(on[view.name])}) == {}
    assert of_view(view.spec(on[view.name])) == on
    wrong = {"target": {"podName": "a"}, "views": {view.name: {"enabled": 1}}}
    assert f"spec.views.{view.name}.enabled must be true or false, not 1" in problems(wrong)


def test_a_timeline_is_off_unless_asked_for() -> None:
    """An empty mapping of views asks for none."""
    assert views({}) == {}


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_is_a_set_of_views_that_single_views_override(profile: Profile) -> None:
    """Each is on with its defaults; one that is named is on as it says, and `enabled: false` takes one out."""
    of_profile = views(profile=profile.value)

    assert list(of_profile) == [view.name for view in in_profile(profile)]
    assert all(of_profile[name] == views({name: None})[name] for name in of_profile)
    for view in CHOOSABLE:
        without = {name: settings for name, settings in of_profile.items() if name != view.name}
        assert views({view.name: {"enabled": False}}, profile=profile.value) == without
        assert views({view.name: None}, profile=profile.value).keys() == {*of_profile, view.name}
    assert views({"files": {"top": 3}}, profile=profile.value)["files"].top == 3


@pytest.mark.parametrize("profile", PROFILES)
def test_a_spec_with_the_overrides_of_its_views_asks_for_the_same(profile: Profile) -> None:
    """Local mode writes its session so; what the profile says is not repeated."""
    changed = views({"files": {"top": 3}, "counters": {"enabled": False}}, profile=profile.value)

    assert overrides(profile, views(profile=profile.value), 30) == {}
    assert views(overrides(profile, changed, 30), profile=profile.value) == changed


def test_profiles_are_those_that_a_view_belongs_to() -> None:
    """Without a profile a session has one that shows no paths and no peers; a wrong name is told the right ones."""
    assert PROFILES[0] == Profile.COUNTS
    assert not in_profile(Profile.COUNTS)
    assert in_profile(Profile.EVERYTHING) == CHOOSABLE
    assert len({in_profile(profile) for profile in PROFILES}) == len(PROFILES) >= 8
    assert all(set(in_profile(Profile.OVERVIEW)) <= set(in_profile(profile)) for profile in PROFILES[1:])
    assert views(profile=None) == views(profile="Overview") == OVERVIEW
    assert problems({"target": {"podName": "a"}, "profile": "files"}) == (
        f"spec.profile is 'files'; it must be one of {', '.join(PROFILES)}"
    )
    assert "spec.profile must be a non-empty string, not 3" in problems({"target": {"podName": "a"}, "profile": 3})


def test_what_is_not_shown_has_bounds() -> None:
    """The agents' own; each wrong pattern is named with its place."""
    target = {"podName": "a"}
    found = problems({"target": target, "redact": ["*.key", "x" * 257, "a\nb", "", "\u00e9", 3]})

    assert parse({"target": target, "redact": ["*/secrets/*", "*.key"]}).redact == ("*/secrets/*", "*.key")
    assert parse({"target": target}).redact == ()
    assert f"spec.redact[1] is '{'x' * 40}'; it must be printable ASCII of 1 to 256 characters" in found
    assert "spec.redact[2] is 'a\\nb'; it must be printable ASCII" in found
    assert "spec.redact[3] must be a non-empty string, not ''" in found
    assert "spec.redact[4] is '\\xe9'; it must be printable ASCII" in found
    assert "spec.redact[5] must be a non-empty string, not 3" in found
    assert "spec.redact has 21 patterns; it may have 20" in problems({"target": target, "redact": ["*"] * 21})


def test_buckets_that_are_too_short_are_refused() -> None:
    """The sentence says how many there is room for."""
    found = problems({"target": {"podName": "a"}, "durationSeconds": 5, "views": {"timeline": {"buckets": 51}}})

    assert found == ("spec.views.timeline.buckets is 51; a bucket is at least 100 ms long, and 5 s have room for 50")


def test_cpu_time_is_on_when_it_is_named() -> None:
    """It has no fields: one that is there is an error."""
    target = {"podName": "a"}

    assert views({"cpuTime": {}}) == {"cpuTime": cpu_time.Settings()}
    assert "spec.views.cpuTime.each is not a field of this version; it has enabled" in problems(
        {"target": target, "views": {"cpuTime": {"each": 1}}}
    )
    assert "spec.views.cpuTime must be a mapping, not True" in problems({"target": target, "views": {"cpuTime": True}})

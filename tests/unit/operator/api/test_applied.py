"""The views that kubectl has dropped from a spec."""

import json
from typing import Any

import pytest

from kubestrace_operator.api import applied
from kubestrace_operator.api.spec import parse


def session(views: Any, annotation: Any) -> dict[str, Any]:
    """Return a session whose annotation says what was applied."""
    text = annotation if isinstance(annotation, str) else json.dumps(annotation)
    spec = {"target": {"podName": "a"}, "profile": "Counts"} | ({} if views is None else {"views": views})
    return {"metadata": {"annotations": {applied.ANNOTATION: text}}, "spec": spec}


def test_a_view_that_kubectl_dropped_is_on() -> None:
    """It was applied with nothing behind its name; the others are as they stand in the spec."""
    body = session({"timeline": {"buckets": 7}}, {"spec": {"views": {"processes": None, "timeline": {"buckets": 9}}}})

    assert applied.spec(body)["views"] == {"processes": None, "timeline": {"buckets": 7}}
    assert parse(applied.spec(body)).views.keys() == {"processes", "timeline"}


def test_a_session_that_was_made_without_apply_is_as_it_stands() -> None:
    """No annotation, and none of it in the spec."""
    body = {"metadata": {"name": "a"}, "spec": {"target": {"podName": "a"}}}

    assert applied.spec(body) == body["spec"]
    assert applied.spec({"metadata": {}}) == {}


@pytest.mark.parametrize("annotation", ["", "[", "[]", "null", "7", {}, {"spec": None}, {"spec": {"views": []}}])
def test_an_annotation_that_is_something_else_is_ignored(annotation: Any) -> None:
    """Anybody may write one."""
    assert applied.spec(session(None, annotation)) == {"target": {"podName": "a"}, "profile": "Counts"}


@pytest.mark.parametrize("annotation", ["[" * 100_000, '{"spec": {"views": {"files": null}}}'], ids=["deep", "null"])
def test_an_object_of_another_form_is_left_to_the_parser(annotation: str) -> None:
    """An annotation may hold any text, and an object of an older definition any spec."""
    body = {"metadata": {"annotations": {applied.ANNOTATION: annotation}}, "spec": {"views": ["files"]}}

    assert applied.spec(body) == {"views": ["files"]}

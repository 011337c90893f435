"""Logs of operator and agent, as a program reads them."""

import json
import logging
import sys

import pytest

from kubestrace_protos import logs


def line(message: str, *arguments: object, **more: object) -> dict[str, object]:
    """Return what a record becomes."""
    record = logging.LogRecord("kubestrace", logging.WARNING, "file.py", 1, message, arguments, None)
    vars(record).update(more)
    text = logs.JsonFormatter().format(record)
    assert "\n" not in text
    found: dict[str, object] = json.loads(text)
    return found


def test_a_line_is_an_object() -> None:
    """When, how bad, from where, and the words; what was given beside them has a field of its own."""
    found = line("%s: begun", "shop/s1", session="shop/s1", created=0.5)

    assert found == {
        "time": "1970-01-01T00:00:00.500Z",
        "level": "warning",
        "logger": "kubestrace",
        "message": "shop/s1: begun",
        "session": "shop/s1",
    }


def test_text_of_others_makes_no_second_line() -> None:
    """A name with a line feed or an escape stays inside its field."""
    assert line("%s", 'a"\n{"level": "error"}\x1b[31m')["message"] == 'a"\n{"level": "error"}\x1b[31m'


def test_a_traceback_is_a_field() -> None:
    """On the same line."""
    try:
        int("wrong")
    except ValueError:
        found = line("failed", exc_info=sys.exc_info())

    assert str(found["error"]).endswith("invalid literal for int() with base 10: 'wrong'")


@pytest.mark.parametrize("form", logs.FORMATS)
def test_the_format_is_chosen(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Text for people is the same as ever."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    try:
        logs.configure("INFO", form)
        logging.getLogger("a.b").info("hello")
    finally:
        root.handlers[:] = before
        root.setLevel(level)

    said = capsys.readouterr().err
    assert said.startswith("{") == (form == "json")
    assert "hello" in said

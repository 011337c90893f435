"""Lists that may be cut, and documents put together."""

from hypothesis import given
from hypothesis import strategies as st

from kubestrace_operator.status import sections
from kubestrace_operator.status.sections import Section, combined, fitting, listed, most_that_fit, size


def test_mappings_are_combined_key_by_key_and_lists_row_by_row() -> None:
    """A later list adds to rows that are there; it brings no rows of its own, and the documents stay as they are."""
    one = {"a": {"x": 1}, "rows": [{"name": "p"}, {"name": "q"}]}
    more = {"a": {"y": 2}, "rows": [{}, {"extra": 3}, {"extra": 4}], "b": [5]}

    assert combined(one, more) == {"a": {"x": 1, "y": 2}, "rows": [{"name": "p"}, {"name": "q", "extra": 3}], "b": [5]}
    assert one == {"a": {"x": 1}, "rows": [{"name": "p"}, {"name": "q"}]}
    assert combined({"rows": [1, 2, 3]}, {}) == {"rows": [1, 2, 3]}
    assert combined() == {}


def test_a_list_has_a_place_in_the_status() -> None:
    """The first rows, at a path."""
    section = listed([1, 2, 3], "trust", "gaps")

    assert section.document(2) == {"trust": {"gaps": [1, 2]}}
    assert (section.is_cut(2), section.is_cut(3)) == (True, False)


def test_rows_that_are_empty_are_not_missed() -> None:
    """An addition to a row of another list may have nothing to say."""
    section = Section([["a"], [], []], lambda _: {})

    assert (section.is_cut(0), section.is_cut(1)) == (True, False)


def test_a_share_and_a_step_bound_the_rows() -> None:
    """Whichever is less."""
    rows = ["x" * 96] * 50

    assert listed(rows, "a", share=4).most(100, 8000) == 2000 // 99
    assert listed(rows, "a").most(3, 8000) == 3
    assert listed(rows, "a", weight=4).most(3, 8000) == 12
    assert listed(rows, "a").most(0, 8000) == 0


@given(st.lists(st.text(max_size=20), max_size=30), st.integers(2, 400))
def test_as_many_rows_fit_as_there_is_room_for(rows: list[str], limit: int) -> None:
    """By halving, the most that the whole document may have; by sums, never more than that."""

    def build(count: int) -> dict[str, list[str]]:
        return {"a": rows[:count]}

    most = max((count for count in range(len(rows) + 1) if size(build(count)) <= limit), default=0)

    assert most_that_fit(build, len(rows), limit) == most
    assert fitting(rows, limit - size(build(0))) <= most


def test_a_page_that_is_cut_says_so_and_keeps_its_end() -> None:
    """What to know before trusting it stands at the end, whatever is left out."""
    body, end = [f"line {number}" for number in range(1000)], ["", "NOT COMPLETE: lost"]

    cut = sections.page(body, end, 500)

    assert sections.size([cut]) <= 500
    assert cut.startswith("line 0\nline 1\n")
    assert cut.endswith("\n... (the rest of the status has more)\n\nNOT COMPLETE: lost\n")
    assert sections.page(body[:3], end, 500) == "line 0\nline 1\nline 2\n\nNOT COMPLETE: lost\n"
    assert sections.page(body, end, 20) == ""

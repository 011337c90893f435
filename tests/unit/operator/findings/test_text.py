"""Findings in words: two lines for each, whatever they name, and all that is known below."""

from typing import Any

import pytest

from kubestrace_operator.findings import text

POD = "checkout-of-the-international-web-shop-6d5f7c9b8d-x2x9k"


def finding(summary: str, **changes: Any) -> dict[str, Any]:
    """Return a finding as the status has it."""
    words = {"summary": summary, "advice": "Look.", "clearedBy": "A test."}
    numbers = [{"name": "callsPerSecond", "value": 1500, "threshold": 1000}, {"name": "meanBytes", "value": 1.5}]
    return {"id": "some-rule", "severity": "warning", "confidence": "high", "evidence": numbers, **words, **changes}


@pytest.mark.parametrize(
    "summary",
    [
        f"Container app of pod {POD} ended with exit code 1, just after it could not open "
        '"/etc/secrets/of/the/international/web/shop/and/its/checkout/tls.crt": there is no such file (ENOENT).',
        f"The CPU limit of 300m stopped container checkout-with-a-long-name-of-its-own of pod {POD} in 25 % of its "
        "periods, for 500.0ms in all. 3 other containers too.",
        f"{'x' * 300} is the name, and it has many more words so that there are two lines of it.",
        "word " * 100,
    ],
)
def test_long_names_lose_their_middle_in_the_head_alone(summary: str) -> None:
    """The head stays two lines; below it the summary stands whole, to be copied."""
    status = {"findings": [finding(summary)]}
    first, second, empty, *below = text.lines(status, 120, 55)

    assert max(len(first), len(second)) <= 80
    assert (first[:22], empty) == ("1. WARNING some-rule: ", "")
    assert "..." in first + second
    assert " ".join(summary.split()) in " ".join(" ".join(below).split())


def test_the_end_of_a_sentence_is_kept_where_names_are_long() -> None:
    """What is told apart by its end, a pod or a file, keeps both ends."""
    head = " ".join(
        text.head(
            1, finding(f'Container app of pod {POD} could not open "/{"folder/" * 9}tls.crt": no file (ENOENT).'), 80
        )
    )

    assert "checkout-of" in head
    assert "-x2x9k" in head
    assert 'tls.crt": no file (ENOENT).' in " ".join(head.split())


def test_later_sentences_go_first() -> None:
    """What does not fit is a sentence, rather than the middle of the first one."""
    first = "1,000 questions a second about files take 20 % of the time in calls that work; none fails."
    whole = f"{first} For example /etc/localtime (10 % of these), and many more of the same."

    head = text.head(1, finding(whole), 80)
    assert " ".join(" ".join(head).split()) == f"1. WARNING some-rule: {first}"


def test_the_number_of_pods_stands_in_the_head() -> None:
    """It is what tells one bad pod from a bad image; below, the containers are named."""
    places = [{"pod": f"shop-{number}", "container": "app"} for number in range(6)]
    status = {"findings": [finding("Full.", containers=places, pods=6, ofPods=9)]}
    first, *_, where = text.lines(status, 80, 55)

    assert first == "1. WARNING some-rule: Full. In 6 of 9 pods."
    assert where == "   Where: app of shop-0, app of shop-1, app of shop-2, app of shop-3, 2 more."


def test_numbers_have_names_and_bounds() -> None:
    """As words, with the bound that was passed where there is one."""
    page = list(text.lines({"findings": [finding("Full.")]}, 80, 55))

    assert page[-1] == "   Numbers: calls per second 1,500 (bound 1,000); mean bytes 1.5."

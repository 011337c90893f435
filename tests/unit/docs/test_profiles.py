"""The table of profiles: its views are those of the code, and every profile has a row."""

import re
from pathlib import Path

from kubestrace_operator.views.profiles import DEFAULT, Profile
from kubestrace_operator.views.registry import PROFILES, in_profile

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "choose-a-profile.md"


def rows() -> dict[str, list[str]]:
    """Return the cells behind the profile of each row."""
    found = re.findall(r"^\| `(\w+)` \|(.*)\|$", PAGE.read_text(), re.MULTILINE)
    return {name: [cell.strip() for cell in rest.split(" | ")] for name, rest in found}


def told(profile: Profile) -> str:
    """Return the views of a profile as the page names them."""
    if profile is Profile.EVERYTHING:
        return "all"
    return ", ".join(f"`{view.name}`" for view in in_profile(profile)) or "none"


def test_the_page_has_each_profile_with_its_views() -> None:
    """In the order of the code."""
    assert {name: cells[1] for name, cells in rows().items()} == {profile: told(profile) for profile in PROFILES}
    assert list(rows()) == [*PROFILES]
    assert f"# {DEFAULT} when left out" in PAGE.read_text()


def test_every_cost_was_measured() -> None:
    """A multiple of the untraced time for each kind of work, and on which machine."""
    ratios = [float(cell) for cells in rows().values() for cell in cells[2:]]

    assert len(ratios) == 3 * len(PROFILES)
    assert all(0.9 < ratio < 10 for ratio in ratios)
    assert re.search(r"\d+ CPUs, Linux \d+\.\d+.*load of \d", PAGE.read_text())

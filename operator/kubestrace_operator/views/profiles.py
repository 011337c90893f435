"""The profiles: sets of views under one name, so that nobody must know which view feeds which finding. Pure.

Each view says itself which profiles it belongs to (View.profiles); registry.in_profile puts them together.
"""

from enum import StrEnum, auto


class Profile(StrEnum):
    """As spec.profile names them; registry.PROFILES are those that are offered."""

    @staticmethod
    def _generate_next_value_(name: str, *_: object) -> str:
        return name.capitalize()

    COUNTS = auto()
    OVERVIEW = auto()
    FILES = auto()
    NETWORK = auto()
    STORAGE = auto()
    MEMORY = auto()
    CPU = "CPU"
    # Offered as soon as a view says that it belongs to it.
    SECURITY = auto()
    # Each view belongs to it without saying so.
    EVERYTHING = auto()


DEFAULT = Profile.OVERVIEW
# Of a view that costs no call anything, and shows no paths and no peers.
ALL_BUT_COUNTS = frozenset(Profile) - {Profile.COUNTS}

"""How often this process looks for garbage that only Python's collector finds."""

import gc

# Objects made and not freed between two looks at the young ones; Python's own number is 700.
_YOUNG_OBJECTS = 50_000


def collect_rarely() -> None:
    """Call once, when everything is loaded.

    What is counted is tens of thousands of objects that hold no cycles and are replaced each second: to look through
    all of them each time took up to half of a snapshot's time. Cycles, as exceptions make them, are still found.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS)

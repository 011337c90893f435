"""What changed in the system calls of two sessions, as a whole and row by row. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kubestrace_operator.comparison import reading
from kubestrace_operator.comparison.noise import Noise
from kubestrace_operator.comparison.ratios import LEAST_CALLS, LEAST_FOR_P99, Pair, ratios, rounded, words

# Name, ABI, whether it waited.
_Key = tuple[str, str, bool]
# Ratios by name, in the order in which they are told.
_Pairs = dict[str, Pair]
_NONE: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Sessions:
    """The two that are compared."""

    here: Mapping[str, Any]
    before: Mapping[str, Any]

    def rate(self, name: str, here: object, before: object) -> Pair:
        """Return a count of each session as a rate a second."""
        return Pair(
            reading.number(here, name) / max(reading.seconds(self.here), 1e-9),
            reading.number(before, name) / max(reading.seconds(self.before), 1e-9),
        )

    def rates(self, here: object, before: object) -> _Pairs:
        """Return the rates that a row, or a summary, has."""
        names = {"calls": "calls", "errors": "errors", "time": "totalNanoseconds"}
        return {name: self.rate(field, here, before) for name, field in names.items()}


def total(sessions: Sessions, noise: Noise) -> dict[str, Any]:
    """Return the change of all calls together."""
    here, before = (reading.part(each, "summary") for each in (sessions.here, sessions.before))
    pairs = sessions.rates(here, before)
    pairs["waitTime"] = sessions.rate("waitNanoseconds", here, before)
    return {
        "changed": any(pair.changed(noise.bound(name)) for name, pair in pairs.items()),
        "change": words(pairs),
        **_rates(pairs["calls"]),
        **ratios(pairs),
    }


def rows(sessions: Sessions, noise: Noise, *, only_both: bool) -> list[dict[str, Any]]:
    """Return a row for each call, those that changed first, then by the change of their time.

    `only_both`: a call that one of the two does not have may have been left out there.
    """
    here, before = (dict(_by_key(each)) for each in (sessions.here, sessions.before))
    keys = here.keys() & before.keys() if only_both else here.keys() | before.keys()
    found = [_row(key, here.get(key), before.get(key), sessions, noise) for key in sorted(keys)]
    ordered = sorted(found, key=lambda row: (not row[1]["changed"], row[1]["wait"], -row[0], row[1]["name"]))
    return [document for _, document in ordered]


def _by_key(status: Mapping[str, Any]) -> Iterator[tuple[_Key, Mapping[str, Any]]]:
    for row in reading.rows(status, "summary", "syscalls"):
        if name := reading.word(row, "name"):
            yield (name, reading.word(row, "abi"), row.get("wait") is True), row


def _row(
    key: _Key, here: Mapping[str, Any] | None, before: Mapping[str, Any] | None, sessions: Sessions, noise: Noise
) -> tuple[float, dict[str, Any]]:
    """Return a row, and by how much its time a second changed."""
    name, abi, wait = key
    pairs = _lengths(here or _NONE, before or _NONE) | sessions.rates(here, before)
    calls = [reading.number(each, "calls") for each in (here, before)]
    document: dict[str, Any] = {"name": name, **({"abi": abi} if abi else {}), "wait": wait}
    if here is None or before is None:
        document |= {"onlyIn": "baseline" if here is None else "session", "changed": max(calls) >= LEAST_CALLS}
        rate = max(pairs["calls"].here, pairs["calls"].before)
        document["change"] = f"{'gone' if here is None else 'new'}, {rounded(rate):,} calls a second"
    else:
        bounds = {each: noise.bound("waitTime" if wait and each == "time" else each) for each in pairs}
        moved = any(pair.changed(bounds[each]) for each, pair in pairs.items())
        document |= {"changed": moved and max(calls) >= LEAST_CALLS, "change": words(pairs)}
    document |= {**_rates(pairs["calls"]), **ratios(pairs)}
    return abs(pairs["time"].here - pairs["time"].before), document


def _lengths(here: Mapping[str, Any], before: Mapping[str, Any]) -> _Pairs:
    """Return the percentiles that are more than chance."""
    least = min(reading.number(each, "calls") for each in (here, before))
    found = {}
    for name, enough in (("p99", LEAST_FOR_P99), ("p50", LEAST_CALLS)):
        if least >= enough:
            found[name] = Pair(*(reading.number(each, f"{name}Nanoseconds") for each in (here, before)))
    return found


def _rates(calls: Pair) -> dict[str, float | int]:
    return {"callsPerSecond": rounded(calls.here), "baselineCallsPerSecond": rounded(calls.before)}

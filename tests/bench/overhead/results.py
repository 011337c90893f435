"""What was measured, and what follows from it: pure values.

Each run is compared with the bare one right before it, so that what slows the whole machine for a while slows both.
Medians over the repetitions.
"""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self

BARE, EMPTY, IDLE = "bare", "empty", "no trace"


@dataclass(frozen=True)
class Sample:
    """Nanoseconds of one unit of work, traced and bare; the part of the calls that was seen, None if not known.

    disturbed: something else slowed the machine right after.
    """

    ns: float
    bare_ns: float
    seen: float | None
    disturbed: bool = False


@dataclass(frozen=True)
class Cost:
    """A tracer's cost on a workload.

    ns: median of a unit. ratio: of it to the bare run, median, least and greatest. added_ns: median of what it adds.
    multiple: added_ns as a multiple of what the two empty programs add; None where they add nothing.
    loss: of throughput, 0 to 1. multiple_of_loss: of that of the empty programs. seen: the least part of the calls.
    """

    ns: float
    ratio: float
    ratio_range: tuple[float, float]
    added_ns: float
    multiple: float | None
    loss: float
    multiple_of_loss: float | None
    seen: float | None


@dataclass
class Results:
    """Samples by workload and tracer, one for each repetition, and why some are missing."""

    workloads: list[dict[str, Any]]
    tracers: list[dict[str, Any]]
    repetitions: int
    milliseconds: int
    machine: dict[str, Any]
    samples: dict[tuple[str, str], list[Sample]] = field(default_factory=dict)
    absent: dict[tuple[str, str], str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        workloads: Iterable[Any],
        tracers: Iterable[Any],
        repetitions: int,
        milliseconds: int,
        machine: dict[str, Any],
    ) -> Self:
        """Nothing measured yet: only what is going to be."""
        return cls(
            [{"name": each.name, "unit": each.unit, "says": each.says} for each in workloads],
            [{key: getattr(each, key) for key in ("name", "says", "ours", "latency", "beside")} for each in tracers],
            repetitions,
            milliseconds,
            machine,
        )

    def add(self, workload: str, tracer: str, sample: Sample) -> None:
        """Take the next repetition's sample."""
        self.samples.setdefault((workload, tracer), []).append(sample)

    def cost(self, workload: str, tracer: str) -> Cost | None:
        """What the tracer costs; None where it was not measured."""
        samples = self.samples.get((workload, tracer))
        if not samples:
            return None
        ratios = [sample.ns / sample.bare_ns for sample in samples]
        seen = [sample.seen for sample in samples if sample.seen is not None]
        added, loss = self._added(workload, tracer), self._loss(workload, tracer)
        return Cost(
            ns=statistics.median(sample.ns for sample in samples),
            ratio=statistics.median(ratios),
            ratio_range=(min(ratios), max(ratios)),
            added_ns=added,
            multiple=_part(added, self._added(workload, EMPTY)),
            loss=loss,
            multiple_of_loss=_part(loss, self._loss(workload, EMPTY)),
            seen=min(seen) if seen else None,
        )

    def _added(self, workload: str, tracer: str) -> float:
        samples = self.samples.get((workload, tracer), [])
        return statistics.median([sample.ns - sample.bare_ns for sample in samples] or [0.0])

    def _loss(self, workload: str, tracer: str) -> float:
        samples = self.samples.get((workload, tracer), [])
        return statistics.median([1 - sample.bare_ns / sample.ns for sample in samples] or [0.0])

    def to_dict(self) -> dict[str, Any]:
        """For a file."""
        return {
            "machine": self.machine,
            "repetitions": self.repetitions,
            "milliseconds": self.milliseconds,
            "workloads": self.workloads,
            "tracers": self.tracers,
            "samples": [
                {
                    "workload": workload,
                    "tracer": tracer,
                    "ns": [round(sample.ns, 1) for sample in samples],
                    "bareNs": [round(sample.bare_ns, 1) for sample in samples],
                    "seen": [sample.seen for sample in samples],
                    "disturbed": [sample.disturbed for sample in samples],
                }
                for (workload, tracer), samples in self.samples.items()
            ],
            "absent": [{"workload": of[0], "tracer": of[1], "why": why} for of, why in self.absent.items()],
        }

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> Self:
        """The opposite of to_dict."""
        results = cls(*(document[key] for key in ("workloads", "tracers", "repetitions", "milliseconds", "machine")))
        for entry in document["samples"]:
            values = zip(*(entry[key] for key in ("ns", "bareNs", "seen", "disturbed")), strict=True)
            results.samples[entry["workload"], entry["tracer"]] = [Sample(*each) for each in values]
        results.absent = {(entry["workload"], entry["tracer"]): entry["why"] for entry in document["absent"]}
        return results


def _part(value: float, of: float) -> float | None:
    return value / of if of > 0 else None

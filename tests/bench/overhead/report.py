"""The results as a table to read: ratios to the bare run, and multiples of what two empty programs add."""

from results import Cost, Results


def table(results: Results) -> str:
    """One block of lines for each workload."""
    return "\n\n".join(_block(results, workload) for workload in results.workloads)


def _block(results: Results, workload: dict[str, str]) -> str:
    name, unit = workload["name"], workload["unit"]
    lines = [f"{name}: {workload['says']}", f"  {'':20} {'ns/' + unit:>13} {'x bare':>8} {'least..most':>16}"]
    lines[1] += f" {'added ns':>12} {'x empty':>8} {'loss':>7} {'seen':>7}"
    for tracer in results.tracers:
        cost = results.cost(name, tracer["name"])
        why = results.absent.get((name, tracer["name"]), "")
        if cost or why:
            lines.append(f"  {tracer['name']:20} {_line(cost) if cost else why}")
    return "\n".join(lines)


def _line(cost: Cost) -> str:
    spread = f"{cost.ratio_range[0]:.2f}..{cost.ratio_range[1]:.2f}"
    return (
        f"{cost.ns:13,.0f} {cost.ratio:8.2f} {spread:>16} {cost.added_ns:12,.0f} {times(cost.multiple):>8}"
        f" {cost.loss:7.1%} {percent(cost.seen):>7}"
    )


def times(multiple: float | None) -> str:
    """A multiple, with fewer digits the greater it is."""
    if multiple is None:
        return "-"
    return f"{multiple:.2f}" if abs(multiple) < 10 else f"{multiple:,.0f}"


def percent(part: float | None) -> str:
    """A part; 100 % only when it is all."""
    if part is None:
        return "-"
    return "100 %" if part == 1 else f"{min(part, 0.999):.1%}".replace("%", " %")

"""Figures as a table, and beside their goals."""

import statistics

import rows


class Figures:
    """What one row gave in each round; compared with the floor round by round, as the speed of a
    machine drifts."""

    def __init__(self):
        self.cpu, self.rate, self.failed, self.lost = [], [], 0, None

    def add(self, cpu, rate, failed):
        self.cpu.append(cpu)
        self.rate.append(rate)
        self.failed += failed

    def extra(self, other):
        """Microseconds of CPU a request costs more than in `other`; median of the rounds."""
        return statistics.median(a - b for a, b in zip(self.cpu, other.cpu))

    def share(self, other):
        """Its rate as a share of that of `other`; median of the rounds."""
        return statistics.median(a / b for a, b in zip(self.rate, other.rate))


def summary(figures):
    """Name to numbers, for the table and for JSON."""
    floor = figures[rows.FLOOR]
    return {
        name: {
            "rate": round(statistics.median(f.rate)),
            "cpu_us": round(statistics.median(f.cpu), 1),
            "extra_us": round(f.extra(floor), 1),
            "share": round(f.share(floor), 3),
            "lost": f.lost,
            "failed": f.failed,
        }
        for name, f in figures.items()
    }


def table(numbers):
    """The summary in Markdown."""
    lines = ["| row | requests/s | CPU µs | extra CPU µs | rate | lost of 200 |",
             "|---|--:|--:|--:|--:|--:|"]
    for name, n in numbers.items():
        extra, share = (("–", "1.00") if name == rows.FLOOR
                        else (f"{n['extra_us']:.1f}", f"{n['share']:.2f}"))
        lost = "–" if n["lost"] is None else n["lost"]
        lines.append(f"| {name} | {n['rate']:,} | {n['cpu_us']:.1f} | {extra} | {share} | {lost} |")
    return "\n".join(lines)


def _claims(goal, own, limit, floor, lost):
    """What a goal says of a row: text, figure, bound, whether it is met."""
    if goal.cpu is not None:
        figure = own.extra(limit)
        yield f"CPU beyond {goal.limit}, µs", figure, f"≤ {goal.cpu:g}", figure <= goal.cpu
    if goal.cpu_share is not None:
        figure = own.extra(floor) - goal.cpu_share * limit.extra(floor)
        yield f"CPU beyond {goal.cpu_share:g} × {goal.limit}, µs", figure, "≤ 0", figure <= 0
    if goal.rate is not None:
        figure = own.share(floor) - limit.share(floor)
        yield f"rate minus {goal.limit}", figure, f"≥ −{goal.rate:g}", figure >= -goal.rate
    if goal.times is not None:
        figure = own.share(limit)
        yield f"rate in times {goal.limit}", figure, f"≥ {goal.times:g}", figure >= goal.times
    if goal.lost is not None:
        yield "lost increments", lost, f"≤ {goal.lost}", lost is not None and lost <= goal.lost


def goals(figures):
    """Each goal as (row, claim, figure, bound, met)."""
    found = []
    for row in rows.ROWS:
        if row.goal and row.name in figures and row.goal.limit in figures:
            own, limit = figures[row.name], figures[row.goal.limit]
            for claim in _claims(row.goal, own, limit, figures[rows.FLOOR], own.lost):
                found.append((row.name, *claim))
    return found


def goal_table(found):
    """The goals in Markdown."""
    lines = ["| row | goal | measured | wanted | met |", "|---|---|--:|--:|---|"]
    for name, claim, figure, bound, met in found:
        shown = f"{figure:.2f}" if isinstance(figure, float) else figure
        lines.append(f"| {name} | {claim} | {shown} | {bound} | {'yes' if met else '**no**'} |")
    return "\n".join(lines)

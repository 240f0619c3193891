"""Failure groups as an operator reads them: how many, why, where in the job."""

from bisect import bisect_left
from collections.abc import Sequence

from orchestrator.contract.partitions import FailureGroup
from orchestrator.contract.selection import parse_ranges

SCATTERED = 4
"""From so many runs of indices on, they are scattered."""


def cause_text(group: FailureGroup) -> str:
    """`exit 7`, `timeout`, `oom exit 137`."""
    code = group.exit_code
    if code is None:
        return group.cause or "failed"
    return f"exit {code}" if group.cause == "exit" else f"{group.cause} exit {code}"


def where(group: FailureGroup) -> str:
    """`41200…41411`, `2917, 52840`, `scattered 3…9988`."""
    ranges = parse_ranges(group.partitions)
    if not ranges:
        return ""
    if len(ranges) >= SCATTERED:
        return f"scattered {ranges[0].start}…{ranges[-1].stop - 1}"
    return ", ".join(str(r.start) if len(r) == 1 else f"{r.start}…{r.stop - 1}" for r in ranges)


def map_of(group: FailureGroup, count: int, cells: int) -> list[float]:
    """The job in `cells` cells: the share of each that is in the group."""
    ranges = parse_ranges(group.partitions)
    shares = []
    for cell in range(cells):
        first, last = cell * count // cells, max(cell * count // cells + 1, (cell + 1) * count // cells)
        shares.append(inside(ranges, first, last) / (last - first))
    return shares


def inside(ranges: Sequence[range], first: int, last: int) -> int:
    """How many indices first..last-1 are in sorted ranges."""
    at = max(0, bisect_left(ranges, first, key=lambda one: one.start) - 1)
    total = 0
    for one in ranges[at:]:
        if one.start >= last:
            break
        total += max(0, min(one.stop, last) - max(one.start, first))
    return total


def report(name: str, groups: Sequence[FailureGroup]) -> str:
    """The groups as text for a ticket."""
    lines = [f"{name}: {sum(group.count for group in groups):,} partitions in {len(groups)} failure groups", ""]
    for group in groups:
        lines.append(f"{group.count:>7,}  {cause_text(group)}  {group.message}")
        lines.append(f"         partitions {group.partitions}")
        lines.append(f"         sample {group.sample.index} on {group.sample.node_id}: {group.sample.message}")
    return "\n".join(lines) + "\n"

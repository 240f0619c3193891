"""The plan of a submission as lines: what it would be, what changes, which nodes match."""

from collections.abc import Iterable, Sequence

import msgspec

from orchestrator.contract.job import Job
from orchestrator.contract.plan import Difference, Plan, PlanKind
from tui.model.moments import counted
from tui.model.text import clip
from tui.widgets.lines import Piece

NODES = 12
"""Nodes that are listed each; of more, those that do not match come first."""


def plan_lines(plan: Plan, name: str) -> list[list[Piece]]:
    """The plan for people. The first line says whether it is a new job."""
    lines: list[list[Piece]] = [[(" ", ""), *headline(plan, name)], [("", "")]]
    lines += [[(f"   {problem}", "failed")] for problem in plan.problems]
    lines += [[(f"   {warning}", "running")] for warning in plan.warnings]
    if plan.kind is PlanKind.INVALID:
        return lines
    lines += [difference_line(one) for one in plan.differences]
    if plan.differences:
        lines.append([("", "")])
    fits = [node for node in plan.nodes if node.matches]
    slots = sum(node.slots for node in fits)
    lines.append([(f" {counted(plan.partitions, 'partition')}", "title")])
    if not plan.nodes:
        return lines
    if not fits:
        lines[-1].append(("  no node matches: it would wait", "failed"))
    else:
        noun = f"{len(fits)} of {counted(len(plan.nodes), 'node')} match{'es' if len(fits) == 1 else ''}"
        lines[-1].append((f"  {noun}, {slots:,} at once when idle", ""))
    for node in sorted(plan.nodes, key=lambda one: (one.matches, one.node_id))[:NODES]:
        mark: Piece = ("   ✓ ", "completed") if node.matches else ("   ✗ ", "failed")
        room = f"{node.slots:,} at once" if node.matches else ""
        reason = f"  {node.reason}" if node.reason else ""
        lines.append([mark, (f"{clip(node.node_id, 24):<24} ", "key"), (room, "muted"), (reason, "muted")])
    if len(plan.nodes) > NODES:
        lines.append([(f"   and {len(plan.nodes) - NODES} more", "muted")])
    return lines


def own_plan(job: Job, known: Iterable[Job]) -> Plan:
    """What can be told without the server: whether a job of that name is known here."""
    same = next((one for one in known if one.name == job.name), None)
    note = "this orchestrator cannot plan: which nodes match is not known before it runs"
    if same is None:
        return Plan(kind=PlanKind.NEW, partitions=job.count, warnings=(note,))
    return Plan(
        kind=PlanKind.UPDATE,
        job_id=same.id,
        old_version=same.version,
        new_version=same.version + 1,
        partitions=job.count,
        warnings=(note,),
    )


def headline(plan: Plan, name: str) -> list[Piece]:
    """`NEW job etl`, or `UPDATES j-1234 v2 → v3, 312 running stop`."""
    match plan.kind:
        case PlanKind.NEW:
            return [("NEW ", "completed"), (f"job {name}", "title")]
        case PlanKind.UNCHANGED:
            return [("UNCHANGED ", "stopped"), (f"job {name} {plan.job_id[:10]} is the same already", "title")]
        case PlanKind.INVALID:
            return [("REFUSED ", "failed"), (counted(len(plan.problems), "problem"), "title")]
        case _:
            pieces: list[Piece] = [
                ("UPDATES ", "running"),
                (f"{name} {plan.job_id[:10]} v{plan.old_version} → v{plan.new_version}", "title"),
            ]
            if plan.stopping:
                pieces.append((f", {counted(plan.stopping, 'running execution')} stop", "failed"))
            return pieces


def difference_line(one: Difference) -> list[Piece]:
    """`Tasks[0].Resources.Memory  512mb → 1gb`."""
    pieces: list[Piece] = [(f"   {one.path}  ", "key")]
    if one.old is not None:
        pieces.append((_shown(one.old), "stopped"))
    pieces.append((" → ", "muted"))
    pieces.append((_shown(one.new), "completed") if one.new is not None else ("removed", "failed"))
    return pieces


def _shown(value: object) -> str:
    return clip(value if isinstance(value, str) else msgspec.json.encode(value).decode(), 60)


def problem_lines(findings: Sequence[tuple[str, int]], most: int) -> list[list[Piece]]:
    """Problems of a text, a line each, with the line that they are about."""
    lines: list[list[Piece]] = []
    for text, line in findings[:most]:
        lines.append([(" ✗ ", "failed"), (f"line {line}: " if line else "", "muted"), (text, "")])
    if len(findings) > most:
        lines[-1].append((f"  and {len(findings) - most} more", "muted"))
    return lines

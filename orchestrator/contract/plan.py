"""What a submission would do: the answer to `PUT jobs` with `DryRun`. Ours."""

import enum
from typing import Any

from orchestrator.contract.api import Problem
from orchestrator.contract.ids import JobId, NodeId
from orchestrator.contract.spec import Spec


class PlanKind(enum.StrEnum):
    """What a submission would be."""

    NEW = "new"
    UPDATE = "update"
    UNCHANGED = "unchanged"
    """Refused unless it is forced."""
    INVALID = "invalid"
    """Refused: `problems` say why."""


class Difference(Spec, frozen=True, kw_only=True, omit_defaults=False):
    """One field that an update changes."""

    path: str
    """As in problems: `Tasks[0].Resources.Memory`."""
    old: Any = None
    """None = it was not there."""
    new: Any = None
    """None = it will not be there."""


class PlannedNode(Spec, frozen=True, kw_only=True, omit_defaults=False):
    """What one node says to the job."""

    node_id: NodeId
    matches: bool
    """Whether it could run a partition, now or once it has room."""
    reason: str = ""
    """Why it takes none now; empty = it has room."""
    slots: int = 0
    """Partitions that it holds at once when idle."""


class Plan(Spec, frozen=True, kw_only=True, omit_defaults=False):
    """What a submission would do."""

    kind: PlanKind
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
    job_id: JobId = JobId("")
    """Of the job that it would update."""
    old_version: int = 0
    new_version: int = 0
    """Both 0 where there is none."""
    stopping: int = 0
    """Executions of the old version that would be stopped."""
    differences: tuple[Difference, ...] = ()
    partitions: int = 0
    nodes: tuple[PlannedNode, ...] = ()

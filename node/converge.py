"""PURE: what has to happen on the node so that it is as the orchestrator wants it."""

from collections.abc import Mapping, Sequence

import msgspec

from orchestrator.contract.agent import Assignment
from orchestrator.contract.ids import ExecutionId


class Start(msgspec.Struct, frozen=True):
    """Take the execution on: it starts as soon as there is room, in the order of assignments."""

    assignment: Assignment


class Stop(msgspec.Struct, frozen=True):
    """End the execution: it is not wanted any more."""

    execution_id: ExecutionId


class Forget(msgspec.Struct, frozen=True):
    """The end is known to the orchestrator: journal line, log and work directory may go."""

    execution_id: ExecutionId


class Seen(msgspec.Struct, frozen=True):
    """What `converge` needs to know about an execution that the node has."""

    has_ended: bool = False
    is_stopping: bool = False
    """Whether it was told to end already."""
    named: int = 0
    """Seq of the first sync that reported its end; 0 = none did."""


def converge(
    wanted: Sequence[Assignment], seen: Mapping[ExecutionId, Seen], answered: int
) -> list[Start | Stop | Forget]:
    """Compare what an answer names with what is here; `answered` is the Seq of the request it answers.

    Not here: Start, in order. Here and not named: Stop while it has not ended; Forget once it has *and* a sync up to
    `answered` reported the end, because an answer to an older sync cannot have known of it. Doing what is returned and
    asking again with the same answer returns nothing.
    """
    named = {assignment.execution_id for assignment in wanted}
    actions: list[Start | Stop | Forget] = []
    for execution_id, one in seen.items():
        if execution_id in named:
            continue
        if not one.has_ended:
            if not one.is_stopping:
                actions.append(Stop(execution_id))
        elif 0 < one.named <= answered:
            actions.append(Forget(execution_id))
    starts: dict[ExecutionId, Start] = {}
    for assignment in wanted:
        if assignment.execution_id not in seen:
            starts.setdefault(assignment.execution_id, Start(assignment))
    return actions + list(starts.values())

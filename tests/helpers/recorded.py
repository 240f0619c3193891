"""Recordings of a real Bacalhau, and how an answer of ours is compared with what it answered."""

from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).resolve().parents[2].parent / "shared" / "contract" / "golden"
MISSING = "the recordings of a real Bacalhau are not beside this project"

MAY_BE_ZERO = {"PartitionIndex", "ExecutionID", "Message", "Details", "Params", "LastError", "LastOrchestratorSeqNum"}
FREE = {"MaxCapacity", "QueueCapacity", "AvailableCapacity", "MaxJobRequirements", "Details", "Params"}
"""Objects whose keys depend on what they say."""
SAME = {
    "Network",
    "Resources",
    "Type",
    "Topic",
    "Membership",
    "Connection",
    "Status",
    "Success",
    "NodeType",
    "StateType",
}
"""Keys whose values are compared."""


def differences(recorded: Any, ours: Any, path: str = "") -> list[str]:
    """Where an answer of ours has not what the recorded one has."""
    key = path.rpartition(".")[2].partition("[")[0]
    if recorded in (None, []) and ours in (None, []):
        return []
    if kind(recorded) != kind(ours):
        return [f"{path}: recorded {recorded!r}, ours {ours!r}"]
    found: list[str] = []
    if isinstance(recorded, dict):
        for name, value in recorded.items() if key not in FREE else ():
            if name in ours:
                found += differences(value, ours[name], f"{path}.{name}")
            elif name not in MAY_BE_ZERO:
                found.append(f"{path}.{name} is missing")
    elif isinstance(recorded, list):
        if bool(recorded) != bool(ours):
            found.append(f"{path}: recorded {len(recorded)} items, ours {len(ours)}")
        for at, (one, other) in enumerate(zip(recorded, ours, strict=False)):
            found += differences(one, other, f"{path}[{at}]")
    elif key == "NextToken" and bool(recorded) != bool(ours):
        found.append(f"{path}: recorded {recorded!r}, ours {ours!r}")
    elif path.endswith("].Job.State.StateType"):
        return []  # theirs is of when the execution was made, ours of now
    elif key in SAME and recorded != ours:
        found.append(f"{path}: recorded {recorded!r}, ours {ours!r}")
    return found


def kind(value: Any) -> str:
    """The JSON type of a value."""
    if isinstance(value, bool):
        return "bool"
    return "number" if isinstance(value, int | float) else type(value).__name__

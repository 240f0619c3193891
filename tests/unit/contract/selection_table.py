"""The grammar of selections as one table: text, and which of a few partitions it selects. For all who evaluate selections."""

import msgspec

from orchestrator.contract.partitions import STOPPING, PartitionState


class Partition(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one partition."""

    index: int
    state: int
    node: str = ""
    attempt: int = 0
    seconds: float | None = None
    cause: str = ""
    exit_code: int | None = None
    group: str = ""
    message: str = ""
    inputs: str = ""


LONG_NODE = "n-1a2b3c4d-0000-4000-8000-000000000000"
PARTITIONS = (
    Partition(index=0, state=PartitionState.COMPLETED, node="n1", attempt=1, seconds=10.0, exit_code=0),
    Partition(
        index=1,
        state=PartitionState.FAILED,
        node="n2",
        attempt=3,
        seconds=400.0,
        cause="exit",
        exit_code=7,
        group="g1",
        message="Cannot open a, b",
    ),
    Partition(index=2, state=PartitionState.WAITING),
    Partition(index=3, state=PartitionState.RUNNING, node=LONG_NODE, attempt=2, seconds=301.5, inputs="data/in.csv"),
    Partition(index=4, state=PartitionState.RUNNING | STOPPING, node="n1", attempt=1, seconds=1.0),
    Partition(
        index=5,
        state=PartitionState.RETRYING,
        node="n1",
        attempt=1,
        cause="oom",
        exit_code=137,
        group="g2",
        seconds=5.0,
    ),
    Partition(index=6, state=PartitionState.STOPPED),
)

SELECTED: dict[str, set[int]] = {
    "": {0, 1, 2, 3, 4, 5, 6},
    "  ": {0, 1, 2, 3, 4, 5, 6},
    "0": {0},
    "1-3": {1, 2, 3},
    "1-3,5": {1, 2, 3, 5},
    "5,1-3,2-4": {1, 2, 3, 4, 5},
    "999999": set(),
    "failed": {1},
    "FAILED": {1},
    "state:failed": {1},
    "running": {3},
    "stopping": {4},
    "state:stopping": {4},
    "failed,waiting": {1, 2},
    "failed,3-4": {1, 3, 4},
    "failed 3-4": set(),
    "failed,running 1-2": {1},
    "node:n1": {0, 4, 5},
    f"node:{LONG_NODE}": {3},
    "node:n-1a2b3c4d": {3},
    "node:n": set(),
    "attempt>1": {1, 3},
    "attempt>=1": {0, 1, 3, 4, 5},
    "attempt<2": {0, 2, 4, 5, 6},
    "attempt<=2": {0, 2, 3, 4, 5, 6},
    "attempt=3": {1},
    "attempt:3": {1},
    "dur>5m": {1, 3},
    "dur>5m1s": {1, 3},
    "dur<10": {4, 5},
    "cause:oom": {5},
    "cause:OOM": {5},
    "exit:137": {5},
    "exit:0": {0},
    "exit>0": {1, 5},
    "group:g1": {1},
    "err~cannot": {1},
    'err~"open a, b"': {1},
    "err~nothing": set(),
    "input~in.csv": {3},
    "!failed": {0, 2, 3, 4, 5, 6},
    "!!failed": {1},
    "!1-3": {0, 4, 5, 6},
    "!failed,1": {0, 1, 2, 3, 4, 5, 6},
    "!failed !running": {0, 2, 4, 5, 6},
    "!cause:oom node:n1": {0, 4},
    "node:n1,node:n2 attempt>1": {1},
}

REFUSED: dict[str, str] = {
    "faild": "did you mean failed?",
    "nod:n1": "did you mean node?",
    "cause:oomm": "did you mean oom?",
    "state:runing": "did you mean running?",
    "9-3": "3-9",
    "1000000": "0 to 999999",
    "attempt>x": "a whole number",
    "attempt~1": "like attempt>1",
    "dur>5q": "no duration",
    "exit:": "like exit:137",
    "err:x": "like err~TEXT",
    "failed, 3": "nothing beside a comma",
    ",3": "nothing beside a comma",
    "3,,4": "nothing beside a comma",
    'err~"abc': "the quote is not closed",
    "!": "nothing after the !",
    "-1": "allowed: indices",
}
"""Text, and what the refusal says."""

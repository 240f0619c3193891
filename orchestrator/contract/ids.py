"""Names of things, and time. All of them are plain text or numbers on the wire."""

import re
from typing import NewType

JobId = NewType("JobId", str)
"""`j-` and a UUID."""
ExecutionId = NewType("ExecutionId", str)
"""`e-` and a UUID. New for every attempt; a container's name, a process' label, a log's name."""
NodeId = NewType("NodeId", str)
"""What a node calls itself: `n1`, or `n-` and a UUID."""
Timestamp = NewType("Timestamp", int)
"""Nanoseconds since 1970-01-01 UTC."""

SECOND = 1_000_000_000
"""Nanoseconds in a second."""


def after(moment: Timestamp, seconds: float) -> Timestamp:
    """The time `seconds` later than `moment`."""
    return Timestamp(moment + round(seconds * SECOND))


def short(name: str) -> str:
    """The short form that people see: `j-1a2b3c4d` of `j-` and a UUID, eight characters of a bare UUID, else `name` itself."""
    prefix, body = (name[:2], name[2:]) if name[1:2] == "-" else ("", name)
    is_uuid = len(body) == 36 and [i for i, c in enumerate(body) if c == "-"] == [8, 13, 18, 23]
    return prefix + body[:8] if is_uuid else name


def is_execution_id(text: str) -> bool:
    """Whether `text` has the form of an execution's id, and so is safe as the name of a file."""
    return re.fullmatch(r"e-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text) is not None

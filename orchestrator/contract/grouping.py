"""Which failures are of one kind: same cause, same exit code, and a last line that differs only in what differs anyway."""

import hashlib
import re

_PATH = re.compile(r"(?:[A-Za-z]:)?(?:\.{0,2}[/\\][\w.\-@+~]+){1,}[/\\]?")
_UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE)
_HEX = re.compile(r"\b(?:0x[0-9a-f]+|(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{6,})\b", re.IGNORECASE)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
MOST_TEXT = 200
"""Characters of a message that a group is known by."""


def normalised(message: str) -> str:
    """The last line of a message without what differs from partition to partition: paths, ids, numbers."""
    line = next((line.strip() for line in reversed(message.splitlines()) if line.strip()), "")[:MOST_TEXT]
    for pattern, word in ((_UUID, "ID"), (_PATH, "PATH"), (_HEX, "ID"), (_NUMBER, "N")):
        line = pattern.sub(word, line)
    return line


def group_id(cause: str, exit_code: int | None, message: str) -> str:
    """The id of the group that a failure belongs to: stable over restarts and jobs."""
    text = f"{cause}\n{exit_code}\n{normalised(message)}"
    return hashlib.sha256(text.encode()).hexdigest()[:8]

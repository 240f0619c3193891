"""What one cell of the grid shows: a byte, the *code*, made from the partitions below it. The worst of them wins.

Codes below 64 have a glyph and a look each; two bits beside them say that a filter dims the cell, or that it is marked.
"""

from collections.abc import Sequence

import msgspec

from orchestrator.contract.partitions import STOPPING, PartitionState

KINDS = 10
"""Kinds of state that are counted: the partition states 0..8, and stopping."""
STOPPING_KIND = 9
UNSELECTED, WAITING, RETRYING, ASSIGNED, RUNNING, PUBLISHING, COMPLETED, FAILED, STOPPED = range(9)
KIND_OF = bytes(STOPPING_KIND if byte & STOPPING else min(byte, STOPPED) for byte in range(256))
"""State byte to kind, for `bytes.translate`."""
KIND_NAMES = (*(state.word for state in PartitionState), "stopping")

DIM, MARK = 64, 128
"""Bits beside a code."""
ATTEMPT_BASE = 24
DURATION_BASE = 34
LETTER_BASE = 38
LETTERS = 26


class Look(msgspec.Struct, frozen=True):
    """How a code is drawn: glyph, glyph where only ASCII can be had, and the name of its style."""

    glyph: str
    ascii: str
    style: str


def _looks() -> tuple[Look, ...]:
    looks = [
        Look(" ", " ", "waiting"),  # unselected
        Look("·", ".", "waiting"),
        Look("↻", "~", "retrying"),
        Look("○", "o", "assigned"),
        Look("▶", ">", "running"),
        Look("▶", ">", "running"),  # publishing
        Look("█", "#", "completed"),
        Look("✗", "X", "failed"),
        Look("□", "_", "stopped"),
        Look("□", "_", "stopping"),
        Look("X", "X", "failed-most"),
        *(Look(glyph, digit, "running") for glyph, digit in zip("▁▂▄▆▇", ".:-=+", strict=True)),
        *(Look(glyph, digit, "completed") for glyph, digit in zip("░▒▓", ":=+", strict=True)),
    ]
    looks += [Look(" ", " ", "waiting")] * (ATTEMPT_BASE - len(looks))
    looks += [Look("·", ".", "waiting")]
    looks += [Look(str(number), str(number), f"attempt-{min(number, 5)}") for number in range(1, 10)]
    looks += [
        Look(glyph, digit, f"duration-{number}")
        for number, (glyph, digit) in enumerate(zip("▁▃▆█", ".-=#", strict=True))
    ]
    looks += [Look(chr(65 + number), chr(65 + number), f"letter-{number % 6}") for number in range(LETTERS)]
    return tuple(looks)


LOOKS = _looks()
FAILED_MOST = 10
RUNNING_BASE = 11
COMPLETED_BASE = 16
DIGIT = bytes(ATTEMPT_BASE + min(number, 9) for number in range(256))
"""Attempts to the code of their digit."""


def code_of_one(state: int, attempts: int) -> int:
    """The code of a single partition: its state; a digit where it was completed only after further attempts."""
    kind = KIND_OF[state]
    return DIGIT[attempts] if kind == COMPLETED and attempts > 1 else kind


def code_of_counts(counts: Sequence[int], base: int, total: int) -> int:
    """The code of a cell of `total` partitions; `counts[base + kind]` of them are of a kind."""
    if counts[base + COMPLETED] == total:
        return COMPLETED
    failed = counts[base + FAILED]
    if failed:
        return FAILED_MOST if failed * 4 > total * 3 else FAILED
    if counts[base + RETRYING]:
        return RETRYING
    if counts[base + STOPPING_KIND]:
        return STOPPING_KIND
    done = counts[base + COMPLETED]
    if counts[base + RUNNING] or counts[base + PUBLISHING]:
        return RUNNING_BASE + done * 5 // total
    if counts[base + STOPPED]:
        return STOPPED
    if done:
        wanted = total - counts[base + UNSELECTED]
        return COMPLETED if done == wanted else COMPLETED_BASE + min(2, done * 3 // wanted)
    if counts[base + ASSIGNED]:
        return ASSIGNED
    return WAITING if counts[base + WAITING] else UNSELECTED


def badness(state: int) -> int:
    """How much a partition of this state needs attention: the highest of a cell is its worst."""
    return _BADNESS[KIND_OF[state]]


_BADNESS = (0, 3, 8, 4, 6, 5, 1, 9, 2, 7)

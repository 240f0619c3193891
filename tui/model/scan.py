"""Selections as scans over flat arrays: the grammar of `orchestrator.contract.selection`, a hundred thousand partitions at once.

A *mask* is a byte a partition, 1 = selected. What the packed grid does not tell comes from `Columns.known`.
"""

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import eq, ge, gt, le, lt

import msgspec

from orchestrator.contract.ids import short
from orchestrator.contract.partitions import state_word
from orchestrator.contract.selection import (
    AnyOf,
    Compares,
    Contains,
    Fact,
    Indices,
    Names,
    Not,
    Selection,
    StateIs,
    Term,
)

NEGATE = bytes(1 - min(byte, 1) for byte in range(256))
_OPERATORS: dict[str, Callable[[float, float], bool]] = {"=": eq, ":": eq, ">": gt, "<": lt, ">=": ge, "<=": le}


class Columns(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of all partitions of a job, a column a fact."""

    states: bytearray
    attempts: bytearray
    nodes: "array[int]"
    node_ids: Sequence[str]
    known: Mapping[Fact, Sequence[object]] = {}
    """Durations (seconds or None), causes, exit codes, groups, messages, inputs: those that are known."""


def scan(selection: Selection, columns: Columns) -> bytes:
    """The mask of a selection.

    Raises LookupError with the name of a fact that the selection needs and the columns do not hold.
    """
    masks = [_mask(term, columns) for term in selection.terms]
    return _both(masks, len(columns.states))


def mask_of(indices: Iterable[int], count: int) -> bytes:
    """The mask that selects these partitions; those outside of the job are left out."""
    mask = bytearray(count)
    for index in indices:
        if 0 <= index < count:
            mask[index] = 1
    return bytes(mask)


def _mask(term: Term, columns: Columns) -> bytes:
    count = len(columns.states)
    match term:
        case Indices():
            mask = bytearray(count)
            for first, last in zip(term.firsts, term.lasts, strict=True):
                stop = min(last + 1, count)
                if first < stop:
                    mask[first:stop] = b"\1" * (stop - first)
            return bytes(mask)
        case StateIs():
            return bytes(columns.states).translate(_table(lambda byte: _word(byte) == term.word))
        case Names(fact=Fact.NODE):
            named = {at for at, node in enumerate(columns.node_ids) if node and term.name in (node, short(node))}
            return bytes(map(named.__contains__, columns.nodes))
        case Names():
            return bytes(value == term.name for value in _column(columns, term.fact))
        case Compares(fact=Fact.ATTEMPT):
            holds = _OPERATORS[term.operator]
            return bytes(columns.attempts).translate(_table(lambda byte: holds(byte, term.bound)))
        case Compares():
            holds = _OPERATORS[term.operator]
            return bytes(
                isinstance(value, int | float) and holds(value, term.bound) for value in _column(columns, term.fact)
            )
        case Contains():
            wanted = term.text.lower()
            return bytes(wanted in str(value).lower() for value in _column(columns, term.fact))
        case Not():
            return _mask(term.term, columns).translate(NEGATE)
        case AnyOf():
            return _either([_mask(choice, columns) for choice in term.terms])


def _word(byte: int) -> str:
    try:
        return state_word(byte)
    except ValueError:
        return ""


def _table(holds: Callable[[int], bool]) -> bytes:
    return bytes(holds(byte) for byte in range(256))


def _column(columns: Columns, fact: Fact) -> Sequence[object]:
    if fact not in columns.known:
        raise LookupError(fact.value)
    return columns.known[fact]


def _both(masks: Sequence[bytes], count: int) -> bytes:
    if not masks:
        return b"\1" * count
    found = int.from_bytes(masks[0], "little")
    for mask in masks[1:]:
        found &= int.from_bytes(mask, "little")
    return found.to_bytes(count, "little")


def _either(masks: Sequence[bytes]) -> bytes:
    found = 0
    for mask in masks:
        found |= int.from_bytes(mask, "little")
    return found.to_bytes(len(masks[0]), "little")

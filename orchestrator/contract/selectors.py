"""Which labels match: the label selectors of lists, and the constraints of jobs, with one evaluation for both.

The grammar is that of Kubernetes: `env in (a,b), team=x, !old, size>3`. Selections of partitions are read by `selection`.
"""

import re
from collections.abc import Iterator, Mapping

import msgspec

from orchestrator.contract.job import Constraint
from orchestrator.contract.selection import Fact, Facts, Selection, format_ranges, parse_ranges
from orchestrator.contract.units import INT64

__all__ = [
    "KEY_RULE",
    "OPERATORS",
    "PREFERENCE",
    "VALUE_RULE",
    "Fact",
    "Facts",
    "LabelSelector",
    "Requirement",
    "Selection",
    "constraint_matches",
    "constraint_mismatch",
    "format_ranges",
    "integer",
    "is_label_key",
    "is_label_value",
    "is_preference",
    "parse_ranges",
    "satisfies",
]

OPERATORS = ("in", "notin", "=", "==", "!=", "gt", "lt", "exists", "!")
"""What a job's constraint may say."""
PREFERENCE = "favour_"
"""A constraint whose key begins so is a wish: nodes that match come first, no node is excluded."""

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_KEY = re.compile(rf"(?:[a-z0-9](?:[a-z0-9.-]{{0,251}}[a-z0-9])?/)?{_NAME}")
_VALUE = re.compile(rf"(?:{_NAME})?")
_TOKEN = re.compile(r"\s*(==|!=|[=!<>(),]|[^\s=!<>(),]+)")
_INTEGER = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_SYMBOLS = frozenset({"==", "!=", "=", "!", "<", ">", "(", ")", ","})
_BINARY = {"in": "in", "notin": "notin", "=": "=", "==": "=", "!=": "!=", ">": "gt", "<": "lt"}
_END = ""
KEY_RULE = "letters, digits, '-', '_' and '.', at most 63, a letter or digit at both ends, with an optional prefix/"
VALUE_RULE = "empty, or letters, digits, '-', '_' and '.', at most 63, a letter or digit at both ends"


def is_label_key(text: str) -> bool:
    """Whether a selector can name this key."""
    return _KEY.fullmatch(text) is not None


def is_label_value(text: str) -> bool:
    """Whether a selector can name this value."""
    return _VALUE.fullmatch(text) is not None


def integer(text: str) -> int | None:
    """The 64-bit integer that a text is, or None."""
    if not _INTEGER.fullmatch(text):
        return None
    number = int(text)
    return number if -INT64 - 1 <= number <= INT64 else None


def satisfies(labels: Mapping[str, str], key: str, operator: str, values: tuple[str, ...]) -> bool:
    """Whether labels fulfil one requirement.

    `!=` and `notin` hold also where the key is missing; `gt` and `lt` compare integers.
    """
    found = labels.get(key)
    match operator:
        case "exists":
            return found is not None
        case "!":
            return found is None
        case "=" | "==" | "in":
            return found is not None and found in values
        case "!=" | "notin":
            return found is None or found not in values
        case "gt" | "lt":
            left, right = integer(found or ""), integer(values[0]) if values else None
            if left is None or right is None:
                return False
            return left > right if operator == "gt" else left < right
        case _:
            return False


def is_preference(constraint: Constraint) -> bool:
    """Whether a constraint is only a wish."""
    return constraint.key.startswith(PREFERENCE)


def constraint_matches(constraint: Constraint, labels: Mapping[str, str]) -> bool:
    """Whether a node's labels fulfil a constraint or a wish."""
    return satisfies(labels, constraint.key.removeprefix(PREFERENCE), constraint.operator, constraint.values)


def constraint_mismatch(constraint: Constraint, labels: Mapping[str, str]) -> bool:
    """Whether a constraint excludes a node with these labels. A wish never does."""
    return not is_preference(constraint) and not constraint_matches(constraint, labels)


class Requirement(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a label selector. Operators: `exists`, `!`, `=`, `!=`, `in`, `notin`, `gt`, `lt`."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


class LabelSelector(msgspec.Struct, frozen=True, kw_only=True):
    """What labels have to fulfil: all of the requirements. Without any, everything matches."""

    requirements: tuple[Requirement, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "LabelSelector":
        """Read a selector. Several are joined with a comma. Raises ValueError with the sentence of Kubernetes."""
        return cls(requirements=tuple(_Parser(text).requirements()))

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether labels fulfil all requirements."""
        return all(satisfies(labels, part.key, part.operator, part.values) for part in self.requirements)

    def constraints(self) -> tuple[Constraint, ...]:
        """The same as constraints of a job."""
        return tuple(Constraint(key=r.key, operator=r.operator, values=r.values) for r in self.requirements)


class _Parser:
    """Reads tokens from left to right; the empty token is the end."""

    def __init__(self, text: str) -> None:
        self.tokens = _TOKEN.findall(text)
        self.at = 0

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else _END

    def take(self) -> str:
        token = self.peek()
        self.at += 1
        return token

    def requirements(self) -> Iterator[Requirement]:
        if self.peek() == _END:
            return
        while True:
            if self.peek() != "!" and not self.is_word():
                raise _expected(self.peek(), "!, identifier, or 'end of string'")
            try:
                yield self.requirement()
            except ValueError as error:
                message = f"unable to parse requirement: {error}"
                raise ValueError(message) from None
            found = self.take()
            if found == _END:
                return
            if found != ",":
                raise _expected(found, "',' or 'end of string'")
            if self.peek() != "!" and not self.is_word():
                raise _expected(self.peek(), "identifier after ','")

    def requirement(self) -> Requirement:
        is_absent = self.peek() == "!"
        if is_absent:
            self.take()
        key = self.word("identifier")
        if not is_label_key(key):
            message = f"invalid label key {key!r}: {KEY_RULE}"
            raise ValueError(message)
        if is_absent:
            return Requirement(key=key, operator="!")
        if self.peek() in (_END, ","):
            return Requirement(key=key, operator="exists")
        found = self.take()
        operator = _BINARY.get(found)
        if operator is None:
            raise _expected(found, "in, notin, =, ==, !=, gt, lt")
        values = self.values() if operator in ("in", "notin") else (self.exact_value(),)
        for value in values:
            if not is_label_value(value):
                message = f"invalid label value {value!r}: {VALUE_RULE}"
                raise ValueError(message)
            if operator in ("gt", "lt") and integer(value) is None:
                message = f"for 'Gt', 'Lt' operators, the value must be an integer, found {value!r}"
                raise ValueError(message)
        return Requirement(key=key, operator=operator, values=values)

    def values(self) -> tuple[str, ...]:
        if (found := self.take()) != "(":
            raise _expected(found, "'('")
        values: list[str] = []
        while True:
            values.append(self.take() if self.is_word() else "")
            found = self.take()
            if found == ")":
                break
            if found != ",":
                raise _expected(found, "',' or ')'")
        return tuple(sorted(set(values)))

    def exact_value(self) -> str:
        return "" if self.peek() in (_END, ",") else self.word("identifier")

    def is_word(self) -> bool:
        return self.peek() != _END and self.peek() not in _SYMBOLS

    def word(self, expected: str) -> str:
        token = self.take()
        if token == _END or token in _SYMBOLS:
            raise _expected(token, expected)
        return token


def _expected(found: str, expected: str) -> ValueError:
    return ValueError(f"found '{found}', expected: {expected}")

"""Selections of partitions: one grammar for the API, the CLI and the TUI.

`3-9,12 node:n1 attempt>1 !cause:oom err~"out of, memory"`: a comma is *or* and binds first, a blank is *and*, `!` is *not*.
"""

import enum
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import get_close_matches
from operator import eq, ge, gt, le, lt
from typing import Protocol

import msgspec

from orchestrator.contract.execution import Cause
from orchestrator.contract.ids import short
from orchestrator.contract.partitions import PartitionState, state_word
from orchestrator.contract.units import duration

MAX_INDEX = 999_999
"""The highest index that a partition can have."""


class Fact(enum.StrEnum):
    """What a selection may have to know of a partition."""

    INDEX = "index"
    STATE = "state"
    NODE = "node"
    ATTEMPT = "attempt"
    DURATION = "dur"
    CAUSE = "cause"
    EXIT = "exit"
    GROUP = "group"
    MESSAGE = "err"
    INPUT = "input"


PACKED = frozenset({Fact.INDEX, Fact.STATE, Fact.NODE, Fact.ATTEMPT})
"""What the packed grid tells; everything else needs the partition's executions."""


class Facts(Protocol):
    """What is known of one partition. Only what `Selection.needs` names is asked for."""

    @property
    def index(self) -> int:
        """0 to count - 1."""

    @property
    def state(self) -> int:
        """The state byte, with the bit for *stopping*."""

    @property
    def node(self) -> str:
        """Full id of the node of its last execution; empty = none."""

    @property
    def attempt(self) -> int:
        """Ordinal of its last execution; 0 = none."""

    @property
    def seconds(self) -> float | None:
        """How long its last execution ran, or has been running; None = it did not."""

    @property
    def cause(self) -> str:
        """Why its last failed execution failed; empty = none failed."""

    @property
    def exit_code(self) -> int | None:
        """Of its last execution; None = not known."""

    @property
    def group(self) -> str:
        """Id of its failure group; empty = none."""

    @property
    def message(self) -> str:
        """What its last failed execution said."""

    @property
    def inputs(self) -> str:
        """Names of its input objects, a line each."""


class Indices(msgspec.Struct, frozen=True, kw_only=True):
    """`3-9,12`: partitions by number. `firsts` and `lasts` belong together, ascending, without overlap."""

    firsts: tuple[int, ...]
    lasts: tuple[int, ...]


class StateIs(msgspec.Struct, frozen=True, kw_only=True):
    """`failed`, `state:failed`. A partition that is stopping is only `stopping`."""

    word: str


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """`node:n1`, `cause:oom`, `group:ID`: a name, exactly; a node also by its short form."""

    fact: Fact
    name: str


class Compares(msgspec.Struct, frozen=True, kw_only=True):
    """`attempt>1`, `dur>5m`, `exit:137`: a number against a bound; what is not known never holds."""

    fact: Fact
    operator: str
    bound: float


class Contains(msgspec.Struct, frozen=True, kw_only=True):
    """`err~TEXT`, `input~TEXT`: a piece of text, in any case."""

    fact: Fact
    text: str


class Not(msgspec.Struct, frozen=True, kw_only=True):
    """`!`: the opposite."""

    term: "Term"


class AnyOf(msgspec.Struct, frozen=True, kw_only=True):
    """Terms with commas between them."""

    terms: tuple["Term", ...]


Term = Indices | StateIs | Names | Compares | Contains | Not | AnyOf

_OPERATORS: dict[str, Callable[[float, float], bool]] = {"=": eq, ":": eq, ">": gt, "<": lt, ">=": ge, "<=": le}
_STATES = (*(state.word for state in PartitionState), "stopping")
_FORMS = {
    Fact.STATE: (":", "state:failed"),
    Fact.NODE: (":", "node:n1"),
    Fact.CAUSE: (":", "cause:oom"),
    Fact.GROUP: (":", "group:ID"),
    Fact.ATTEMPT: ("><=:", "attempt>1"),
    Fact.DURATION: ("><=:", "dur>5m"),
    Fact.EXIT: ("><=:", "exit:137"),
    Fact.MESSAGE: ("~", "err~TEXT"),
    Fact.INPUT: ("~", "input~TEXT"),
}
_ALLOWED = f"indices (3-9,12), {', '.join(_STATES)}, {', '.join(example for _, example in _FORMS.values())}"
_CLAUSE = re.compile(r'(?:[^\s"]|"(?:[^"\\]|\\.)*")+', re.DOTALL)
_PIECE = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*")*', re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_RANGE = re.compile(r"(\d{1,10})(?:-(\d{1,10}))?", re.ASCII)
_FACT = re.compile(r"([A-Za-z]+)(>=|<=|[:=<>~])(.*)", re.DOTALL)


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which partitions. Without any term: all of them."""

    terms: tuple[Term, ...] = ()
    """All of them have to hold."""

    @classmethod
    def parse(cls, text: str) -> "Selection":
        """Read a selection. Raises ValueError that names the piece, what is allowed and the nearest known word."""
        return cls(terms=tuple(_clauses(text)))

    @property
    def needs(self) -> frozenset[Fact]:
        """What has to be known of a partition to tell whether it is selected."""
        return frozenset().union(*(_needs(term) for term in self.terms))

    @property
    def is_packed(self) -> bool:
        """Whether index, state, node and attempt are all it needs, so that the packed grid can answer."""
        return self.needs <= PACKED

    def test(self, facts: Facts) -> bool:
        """Whether a partition is selected."""
        return all(_holds(term, facts) for term in self.terms)


def _holds(term: Term, facts: Facts) -> bool:
    match term:
        case Indices():
            at = bisect_right(term.firsts, facts.index) - 1
            return at >= 0 and facts.index <= term.lasts[at]
        case StateIs():
            return state_word(facts.state) == term.word
        case Names(fact=Fact.NODE):
            return bool(facts.node) and term.name in (facts.node, short(facts.node))
        case Names():
            return (facts.cause if term.fact is Fact.CAUSE else facts.group) == term.name
        case Compares():
            numbers = {Fact.ATTEMPT: "attempt", Fact.DURATION: "seconds", Fact.EXIT: "exit_code"}
            number: float | None = getattr(facts, numbers[term.fact])
            return number is not None and _OPERATORS[term.operator](number, term.bound)
        case Contains():
            return term.text.lower() in (facts.message if term.fact is Fact.MESSAGE else facts.inputs).lower()
        case Not():
            return not _holds(term.term, facts)
        case AnyOf():
            return any(_holds(choice, facts) for choice in term.terms)


def _needs(term: Term) -> frozenset[Fact]:
    match term:
        case Indices():
            return frozenset({Fact.INDEX})
        case StateIs():
            return frozenset({Fact.STATE})
        case Not():
            return _needs(term.term)
        case AnyOf():
            return frozenset().union(*(_needs(choice) for choice in term.terms))
        case Names() | Compares() | Contains():
            return frozenset({term.fact})


def _clauses(text: str) -> Iterator[Term]:
    left = _QUOTED.sub("", text)
    if '"' in left:
        raise _refused(left[left.rindex('"') :][:20], "the quote is not closed")
    for clause in _CLAUSE.findall(text):
        pieces = _pieces(clause)
        if "" in pieces:
            raise _refused(clause, "nothing beside a comma; write it without blanks, like 3-9,failed")
        found = [_RANGE.fullmatch(piece) for piece in pieces]
        choices = [_term(piece) for piece, indices in zip(pieces, found, strict=True) if indices is None]
        ranges = [_range(indices) for indices in found if indices]
        if ranges:
            choices.insert(0, _indices(ranges))
        yield choices[0] if len(choices) == 1 else AnyOf(terms=tuple(choices))


def _pieces(clause: str) -> list[str]:
    """The pieces between the commas that are not in quotes."""
    pieces, at = [], 0
    while at <= len(clause):
        piece = _PIECE.match(clause, at)
        assert piece is not None
        pieces.append(piece[0])
        at = piece.end() + 1
    return pieces


def _term(piece: str) -> Term:
    if piece.startswith("!"):
        rest = piece.lstrip("!")
        if not rest:
            raise _refused(piece, "there is nothing after the !")
        found = _RANGE.fullmatch(rest)
        term = _indices([_range(found)]) if found else _term(rest)
        return term if (len(piece) - len(rest)) % 2 == 0 else Not(term=term)
    named = _FACT.fullmatch(piece)
    if named is None:
        word = _unquoted(piece).lower()
        if word in _STATES:
            return StateIs(word=word)
        raise _refused(piece, f"allowed: {_ALLOWED}", word, (*_STATES, *_FORMS))
    name, operator, text = named[1].lower(), named[2], _unquoted(named[3])
    if name not in set(_FORMS):
        raise _refused(piece, f"allowed: {_ALLOWED}", name, _FORMS)
    fact = Fact(name)
    operators, example = _FORMS[fact]
    if operator[0] not in operators or not text:
        raise _refused(piece, f"allowed: like {example}")
    return _fact_term(piece, fact, operator, text)


def _fact_term(piece: str, fact: Fact, operator: str, text: str) -> Term:
    match fact:
        case Fact.STATE | Fact.CAUSE:
            words: Sequence[str] = _STATES if fact is Fact.STATE else tuple(Cause)
            word = text.lower()
            if word not in words:
                raise _refused(piece, f"allowed: {', '.join(words)}", word, words)
            return StateIs(word=word) if fact is Fact.STATE else Names(fact=fact, name=word)
        case Fact.NODE | Fact.GROUP:
            return Names(fact=fact, name=text)
        case Fact.MESSAGE | Fact.INPUT:
            return Contains(fact=fact, text=text)
        case Fact.DURATION:
            try:
                return Compares(fact=fact, operator=operator, bound=duration(text))
            except ValueError as error:
                raise _refused(piece, str(error)) from None
        case Fact.ATTEMPT | Fact.EXIT | Fact.INDEX:
            if not re.fullmatch(r"-?\d{1,10}", text, re.ASCII):
                raise _refused(piece, f"allowed: a whole number, like {_FORMS[fact][1]}")
            return Compares(fact=fact, operator=operator, bound=int(text))


def _range(found: re.Match[str]) -> range:
    first = int(found[1])
    last = int(found[2] or first)
    if last < first:
        raise _refused(found[0], f"allowed: the lower index first, {last}-{first}")
    if last > MAX_INDEX:
        raise _refused(found[0], f"allowed: 0 to {MAX_INDEX}")
    return range(first, last + 1)


def _indices(ranges: Iterable[range]) -> Indices:
    merged = _merged(ranges)
    return Indices(firsts=tuple(part[0] for part in merged), lasts=tuple(part[-1] for part in merged))


def _merged(ranges: Iterable[range]) -> list[range]:
    merged: list[range] = []
    for part in sorted(ranges, key=lambda part: part.start):
        if merged and part.start <= merged[-1].stop:
            merged[-1] = range(merged[-1].start, max(merged[-1].stop, part.stop))
        else:
            merged.append(part)
    return merged


def _unquoted(text: str) -> str:
    return _QUOTED.sub(lambda quoted: re.sub(r"\\(.)", r"\1", quoted[1], flags=re.DOTALL), text)


def _refused(piece: str, reason: str, word: str = "", known: Iterable[str] = ()) -> ValueError:
    near = get_close_matches(word, list(known), n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return ValueError(f"selection: {piece!r}: {reason}{hint}")


def parse_ranges(text: str) -> list[range]:
    """The ranges of `3-9,12`: ascending, merged; empty text = none. Raises ValueError that names the piece."""
    if not text.strip():
        return []
    ranges: list[range] = []
    for piece in text.split(","):
        found = _RANGE.fullmatch(piece.strip())
        if found is None:
            raise _refused(piece, "allowed: indices, like 3-9,12")
        ranges.append(_range(found))
    return _merged(ranges)


def format_ranges(indices: Iterable[int]) -> str:
    """The shortest text of indices, in any order: `3-9,12`."""
    return ",".join(str(part[0]) if len(part) == 1 else f"{part[0]}-{part[-1]}" for part in ranges_of(indices))


def ranges_of(indices: Iterable[int]) -> tuple[range, ...]:
    """The fewest ranges of indices that come in any order, ascending."""
    ordered = sorted(indices)
    if not ordered:
        return ()
    breaks = [at for at in range(1, len(ordered)) if ordered[at] > ordered[at - 1] + 1]
    firsts, lasts = [0, *breaks], [*(at - 1 for at in breaks), len(ordered) - 1]
    return tuple(range(ordered[first], ordered[last] + 1) for first, last in zip(firsts, lasts, strict=True))

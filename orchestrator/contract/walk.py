"""The walk from plain data (parsed JSON or YAML) to the keys and types of a model, collecting every problem on the way.

Keys match in any case, null is absent, Go's words are booleans, durations may be text. Nothing is raised.
"""

import functools
import math
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

import msgspec
from msgspec import inspect

from orchestrator.contract.api import Problem
from orchestrator.contract.units import INT64, duration, go_bool

MAX_DEPTH = 64
MAX_VALUES = 100_000
"""In a document: more take seconds to look through, in which nobody else is served."""
MAX_PROBLEMS = 100
"""No more are looked for: enough for a person, and no document can make their list long."""
NULL_CHARACTER = "text with a null character"
TOO_DEEP = "deeper nesting"
TOO_MANY = f"more than {MAX_VALUES} values"
_ABSENT: Any = msgspec.UNSET
_SURROGATE = re.compile("[\ud800-\udfff]")
_INTEGER = re.compile(r"[+-]?\d{1,20}", re.ASCII)
Bounds = inspect.IntType | inspect.FloatType


def shown(raw: object) -> str:
    """What was found, as one short line."""
    match raw:
        case None:
            return "null"
        case bool():
            return "true" if raw else "false"
        case str():
            return repr(raw if len(raw) <= 60 else raw[:57] + "...")
        case int() | float():
            text = f"{Decimal(raw):.6e}" if isinstance(raw, int) and abs(raw) > INT64 else str(raw)
            return f"number {text}"
        case list() | tuple():
            return f"a list of {len(raw)}"
        case dict():
            return "an object"
        case _:
            return f"{type(raw).__name__} {raw}"[:60]


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that was probably meant, as a question; empty = none is near."""
    words = {name.lower(): name for name in known if name}
    found = get_close_matches(word.lower()[:100], words, n=1)
    return f"did you mean {words[found[0]]}?" if found else ""


def listed(words: Iterable[str]) -> str:
    """Words with commas between them."""
    return ", ".join(words)


def below(path: str, key: str) -> str:
    """The path of a key of `path`; a very long key is cut."""
    key = key if len(key) <= 100 else f"{key[:97]}..."
    return f"{path}.{key}" if path else key


def covers(path: str, other: str) -> bool:
    """Whether `other` is `path` or something in it."""
    return not path or other == path or other.startswith((f"{path}.", f"{path}["))


Trail = tuple[Any, str | int] | None
"""Where a value is: the trail of what holds it, and its key there. A path is made of it only when it is needed."""


def plain_problems(raw: object) -> list[Problem]:
    """What no document may hold: other types than JSON's, numbers beyond 64 bits, broken text.

    More than 64 levels, or too many values, are the only problem told.
    """
    values = 0
    problems = [_at(None, fault) for fault in [_fault(raw)] if fault]
    waiting: list[tuple[Any, int, Trail]] = [(raw, 0, None)] if isinstance(raw, list | dict) else []
    while waiting and len(problems) < MAX_PROBLEMS:
        value, depth, trail = waiting.pop()
        if depth >= MAX_DEPTH:
            return [Problem(path=_path(trail), found=TOO_DEEP, allowed=f"at most {MAX_DEPTH} levels")]
        values += len(value)
        if values > MAX_VALUES:
            return [Problem(path="", found=TOO_MANY, allowed=f"at most {MAX_VALUES}")]
        for key, one in enumerate(value) if isinstance(value, list) else value.items():
            if isinstance(value, dict) and (not isinstance(key, str) or _fault(key)):
                problems.append(_at(trail, (f"key {shown(key)}", "text", "quote it")))
            elif isinstance(one, list | dict):
                waiting.append((one, depth + 1, (trail, key)))
            elif fault := _fault(one):
                problems.append(_at((trail, key), fault))
    return problems


def _at(trail: Trail, fault: tuple[str, str, str]) -> Problem:
    found, allowed, hint = fault
    return Problem(path=_path(trail), found=found, allowed=allowed, hint=hint)


def _path(trail: Trail) -> str:
    keys: list[str | int] = []
    while trail is not None:
        trail, key = trail
        keys.append(key)
    path = ""
    for key in reversed(keys):
        path = f"{path}[{key}]" if isinstance(key, int) else below(path, key)
    return path


def _fault(value: object) -> tuple[str, str, str] | None:
    """What was found, what is allowed, and a hint, if this value may be in no document. What it holds is not looked at."""
    match value:
        case None | bool() | list() | dict():
            return None
        case str():
            if "\0" in value:
                return NULL_CHARACTER, "text without", ""
            if not value.isascii() and _SURROGATE.search(value):
                return "half a character (a surrogate)", "Unicode text", ""
            return None
        case int():
            return None if -INT64 - 1 <= value <= INT64 else (shown(value), "a number of 64 bits", "")
        case float():
            return None if math.isfinite(value) else (shown(value), "a finite number", "")
        case _:
            return shown(value), "text, a number, true or false", "quote it"


class Walk:
    """Reads values by their types and keeps what is wrong in `problems`. Bad values come out as absent.

    `is_query`: everything is text, as in a query string. `sentences`: by path, Bacalhau's sentence for a wrong value, with
    `{}` for the value. `unbuilt`: by class, keys that are known but do not act yet.
    """

    def __init__(
        self,
        *,
        is_query: bool = False,
        sentences: Mapping[str, str] | None = None,
        unbuilt: Mapping[type, tuple[str, ...]] | None = None,
    ) -> None:
        self.problems: list[Problem] = []
        self.is_query = is_query
        self.sentences = sentences or {}
        self.unbuilt = unbuilt or {}

    def wrong(self, path: str, raw: object, allowed: str, hint: str = "") -> Any:
        """Note a problem; the value is then absent."""
        sentence = self.sentences.get(path, "")
        message = sentence.format(raw) if sentence and isinstance(raw, str) else ""
        self.note(Problem(path=path, found=shown(raw), allowed=allowed, hint=hint, message=message))
        return _ABSENT

    def note(self, problem: Problem) -> None:
        """Keep a problem, unless there are enough."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)

    def struct(
        self, raw: object, kind: type, path: str, *, is_strict: bool = True, hidden: frozenset[str] = frozenset()
    ) -> Any:
        """The given fields of a struct, by their names on the wire. `hidden` fields are not known."""
        if not isinstance(raw, dict):
            return self.wrong(
                path, raw, "an object with " + listed(n for n in fields_of(kind).names if n not in hidden)
            )
        known = fields_of(kind)
        given: dict[str, Any] = {}
        spelled: dict[str, str] = {}
        for key, value in raw.items():
            field = known.by_lower.get(key.lower()) if isinstance(key, str) else None
            if field is None or field.encode_name in hidden:
                if is_strict:
                    self.unknown(path, key, kind, [name for name in known.names if name not in hidden])
                continue
            name = field.encode_name
            if name in spelled:
                self.wrong(below(path, name), key, f"once, and {spelled[name]!r} is there already")
                continue
            spelled[name] = key
            if value is None:
                continue
            read = self.value(value, field.type, below(path, name), is_strict=is_strict)
            if read is not _ABSENT:
                given[name] = read
        return given

    def unknown(self, path: str, key: object, kind: type, known: list[str]) -> None:
        """Note an unknown key, or one that is not built yet."""
        if len(self.problems) >= MAX_PROBLEMS:
            return
        word = key if isinstance(key, str) and len(key) <= 100 else shown(key)
        place = below(path, word)
        unbuilt = {name.lower(): name for name in self.unbuilt.get(kind, ())}
        if word.lower() in unbuilt:
            name = below(path, unbuilt[word.lower()])
            message = f"{name} is not built yet: leave it out"
            self.note(Problem(path=name, found=word, allowed=listed(known), message=message))
            return
        message = f"unknown field: '{word}' in 'Job'" if not path else ""
        hint = nearest(word, [*known, *unbuilt.values()])
        allowed = listed(known) or "no keys"
        self.note(Problem(path=place, found=f"unknown key {shown(key)}", allowed=allowed, hint=hint, message=message))

    def value(self, raw: Any, kind: inspect.Type, path: str, *, is_strict: bool = True) -> Any:
        """One value, by its type; absent when it is wrong."""
        match kind:
            case inspect.Metadata(type=inner, extra={"unit": "seconds"}):
                return self.seconds(raw, inner, path)
            case inspect.Metadata(type=inner):
                return self.value(raw, inner, path, is_strict=is_strict)
            case inspect.UnionType(types=types):
                (inner,) = [one for one in types if not isinstance(one, inspect.NoneType)]
                return self.value(raw, inner, path, is_strict=is_strict)
            case inspect.StructType(cls=cls):
                return self.struct(raw, cls, path, is_strict=is_strict)
            case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item):
                return self.items(raw, item, path, is_strict=is_strict)
            case inspect.DictType(value_type=item):
                return self.mapping(raw, item, path)
            case inspect.EnumType(cls=cls):
                return self.word(raw, [str(one.value) for one in cls], path)
            case inspect.AnyType():
                return raw
            case _:
                return self.scalar(self.first(raw), kind, path)

    def first(self, raw: Any) -> Any:
        """In a query string the first of several values counts."""
        return raw[0] if self.is_query and isinstance(raw, list) and raw else raw

    def scalar(self, raw: Any, kind: inspect.Type, path: str) -> Any:
        """Text, a number or a boolean."""
        match kind:
            case inspect.StrType():
                return self.text(raw, path)
            case inspect.BoolType():
                return self.boolean(raw, path)
            case inspect.IntType():
                return self.integer(raw, kind, path)
            case inspect.FloatType():
                return self.number(raw, kind, path)
            case _:
                message = f"{path} has a type that the walk does not read: {kind}"
                raise AssertionError(message)

    def text(self, raw: Any, path: str) -> Any:
        """Text as it is; numbers, booleans and dates are not guessed at."""
        if isinstance(raw, str):
            return raw
        is_scalar = not isinstance(raw, list | dict)
        return self.wrong(path, raw, "text", "quote it" if is_scalar else "")

    def boolean(self, raw: Any, path: str) -> Any:
        """A boolean, or one of Go's words for it."""
        if isinstance(raw, bool):
            return raw
        try:
            return go_bool(raw)
        except (ValueError, TypeError):
            return self.wrong(path, raw, "true or false")

    def integer(self, raw: Any, kind: inspect.IntType, path: str) -> Any:
        """A whole number of 64 bits, within the bounds of its field."""
        if self.is_query and isinstance(raw, str) and _INTEGER.fullmatch(raw):
            raw = int(raw)
        if isinstance(raw, bool) or not isinstance(raw, int) or not -INT64 - 1 <= raw <= INT64:
            is_quoted = isinstance(raw, str) and _INTEGER.fullmatch(raw)
            hint = "write it without quotes and leading zeros" if is_quoted else ""
            return self.wrong(path, raw, _range(kind, "a whole number"), hint)
        return raw if _fits(raw, kind) else self.wrong(path, raw, _range(kind, "a whole number"))

    def number(self, raw: Any, kind: inspect.FloatType, path: str) -> Any:
        """A finite number, within the bounds of its field."""
        if self.is_query and isinstance(raw, str):
            try:
                raw = float(raw)
            except ValueError:
                return self.wrong(path, raw, _range(kind, "a number"))
        is_number = isinstance(raw, int | float) and not isinstance(raw, bool)
        if not is_number or not abs(raw) <= INT64 or not _fits(raw, kind):
            return self.wrong(path, raw, _range(kind, "a number"))
        return float(raw)

    def seconds(self, raw: Any, kind: inspect.Type, path: str) -> Any:
        """A duration; whole seconds where the field is an integer."""
        is_whole = isinstance(kind, inspect.IntType)
        allowed = f"{'whole seconds' if is_whole else 'seconds'} (90), or like 1m30s"
        raw = self.first(raw)
        try:
            seconds = duration(raw)
        except ValueError:
            return self.wrong(path, raw, f"{allowed}, at most a hundred years")
        assert isinstance(kind, inspect.IntType | inspect.FloatType)
        if is_whole and seconds != int(seconds):
            return self.wrong(path, raw, allowed, "no fraction of a second here")
        if not _fits(seconds, kind):
            return self.wrong(path, raw, _range(kind, allowed))
        return int(seconds) if is_whole else float(seconds)

    def items(self, raw: Any, item: inspect.Type, path: str, *, is_strict: bool) -> Any:
        """A list. A struct that is wrong leaves an empty one in its place, so that the others keep their numbers."""
        if self.is_query and not isinstance(raw, list):
            raw = [raw]
        if not isinstance(raw, list):
            hint = "put it into a list: [...]" if isinstance(raw, str | int) else ""
            return self.wrong(path, raw, "a list", hint)
        read: list[Any] = []
        for at, value in enumerate(raw):
            one = self.value(value, item, f"{path}[{at}]", is_strict=is_strict)
            if one is not _ABSENT:
                read.append(one)
            elif isinstance(item, inspect.StructType):
                read.append({})
        return read

    def mapping(self, raw: Any, item: inspect.Type, path: str) -> Any:
        """A map whose keys keep their case; null is empty text."""
        if not isinstance(raw, dict):
            return self.wrong(path, raw, "an object")
        read: dict[str, Any] = {}
        for key, value in raw.items():
            if not isinstance(key, str):
                self.wrong(path, key, "text as key", "quote it")
                continue
            if value is None and isinstance(item, inspect.StrType):
                read[key] = ""
                continue
            one = self.value(value, item, below(path, key))
            if one is not _ABSENT:
                read[key] = one
        return read

    def word(self, raw: Any, words: list[str], path: str) -> Any:
        """One of some words, exactly; empty = not given."""
        raw = self.first(raw)
        if raw == "":
            return _ABSENT
        if not isinstance(raw, str) or raw not in words:
            return self.wrong(path, raw, listed(words), nearest(raw, words) if isinstance(raw, str) else "")
        return raw


class Fields(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a struct, as the wire names them."""

    by_lower: dict[str, inspect.Field]
    names: tuple[str, ...]


@functools.cache
def fields_of(kind: type) -> Fields:
    """The fields of a struct. Looked up once."""
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    by_lower = {field.encode_name.lower(): field for field in info.fields}
    return Fields(by_lower=by_lower, names=tuple(field.encode_name for field in info.fields))


def _fits(number: float, kind: Bounds) -> bool:
    return (kind.ge is None or number >= kind.ge) and (kind.le is None or number <= kind.le)


def _range(kind: Bounds, what: str) -> str:
    match (kind.ge, kind.le):
        case (None, None):
            return what
        case (low, None):
            return f"{what}, at least {_number(low)}"
        case (None, high):
            return f"{what}, at most {_number(high)}"
        case (low, high):
            return f"{what} from {_number(low)} to {_number(high)}"


def _number(limit: float | None) -> str:
    assert limit is not None
    return str(int(limit)) if limit == int(limit) else f"{limit:g}"

"""A job file (YAML or JSON) to plain data, with the line of every path.

Nothing is guessed: what YAML takes for a date, a boolean or a number arrives as that, and is refused where text is wanted.
Numbers that YAML would reinterpret (`010`, `1_000`, `22:22`) stay the text that was written.
"""

import datetime as dt
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import yaml

from orchestrator.contract.api import MAX_BODY

MAX_DEPTH = 64
MAX_NODES = 1_000_000
"""Values in a file, what an alias stands for counted each time it is used."""

_PREFIX = "the job provided is invalid: "
_TEXT_TAGS = ("!", "tag:yaml.org,2002:str")
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "yes", "on"})
_FALSE = frozenset({"false", "no", "off"})
_INTEGER = re.compile(r"[+-]?(?:0|[1-9]\d{0,40})", re.ASCII)
_FLOAT = re.compile(r"[+-]?(?:\d+\.\d*|\.\d+|\d+(?=[eE]))(?:[eE][+-]?\d+)?", re.ASCII)
_ODD_FLOATS = {".inf": "inf", "+.inf": "inf", "-.inf": "-inf", ".nan": "nan"}
_DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}", re.ASCII)
_TIME = re.compile(r"\d{4}-\d{1,2}-\d{1,2}(?:[Tt]|\s+)\d{1,2}:\d{2}:\d{2}.*", re.ASCII)


class JobFileError(ValueError):
    """A file that cannot be read as a job. `line` counts from 1; None = no line."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


class JobFile(NamedTuple):
    """What a job file holds."""

    data: object
    lines: Mapping[str, int]
    """By path (`tasks[0].resources.memory`) in lower case: the line on which the value's key is, from 1."""

    def line(self, path: str) -> int | None:
        """The line of a path as problems name it, or of the nearest thing around it."""
        place = path.lower()
        while place not in self.lines:
            if not place:
                return None
            place = place[: max(place.rfind("."), place.rfind("["), 0)]
        return self.lines[place]


def read_job_file(source: Path | str, directory: Path | None = None) -> JobFile:
    """The content of a job file: a path is read, text is taken as it is.

    A relative `SourcePath` of a local input counts from `directory`: the file's own, for text the working directory.
    Raises JobFileError: no such file, empty, no YAML, repeated keys, too deep, too large.
    """
    if isinstance(source, Path):
        directory = directory or source.parent
        source = _read(source)
    if len(source) > MAX_BODY:
        message = f"{_PREFIX}the file is larger than {MAX_BODY} bytes"
        raise JobFileError(message)
    composer = _Composer(source)
    if source.lstrip()[:1] == "{":
        try:
            data = json.loads(source, object_pairs_hook=_once, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            data = composer.document()
        else:
            _find_lines(composer)
    else:
        data = composer.document()
    for params in _local_params(data):
        _make_absolute(params, directory or Path.cwd())
    return JobFile(data, composer.lines)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BODY + 1)
        return raw.decode("utf-8-sig")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        message = f'opening job file ("{path}"): open {path}: {reason}'
        raise JobFileError(message) from error
    except UnicodeDecodeError as error:
        message = f"{_PREFIX}{path} is no UTF-8 text (byte {error.start})"
        raise JobFileError(message) from error


class _RepeatedKeyError(ValueError):
    pass


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, unless a key comes twice: the YAML reader then says where."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _RepeatedKeyError
    return found


def _no_constant(word: str) -> NoReturn:
    raise ValueError(word)


def _find_lines(composer: "_Composer") -> None:
    """The lines of a JSON file, as far as YAML reads it the same way."""
    try:
        composer.document()
    except JobFileError:
        return


class _Composer:
    """Builds data from the parser's events, by itself: so depth, aliases and repeated keys are its to judge."""

    def __init__(self, text: str) -> None:
        self.lines: dict[str, int] = {}
        self.anchors: dict[str, tuple[object, int] | None] = {}
        self.nodes = 0
        self.loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        self.events = self.parse(text)

    def parse(self, text: str) -> Iterator[Any]:
        try:
            yield from yaml.parse(text, Loader=self.loader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            line = min(mark.line, text.rstrip().count("\n")) + 1 if mark else None
            where = f"line {line}: " if line else ""
            message = f"{_PREFIX}yaml: {where}{error.problem or error.context}"
            raise JobFileError(message, line) from error
        except (yaml.YAMLError, UnicodeEncodeError) as error:
            message = f"{_PREFIX}yaml: {str(error).splitlines()[0]}"
            raise JobFileError(message) from error

    def document(self) -> object:
        """The one document of the text."""
        next(self.events)
        if isinstance(next(self.events), yaml.StreamEndEvent):
            message = f"{_PREFIX}no content provided"
            raise JobFileError(message)
        first = next(self.events)
        data = self.value(first, "", 0)
        next(self.events)
        following = next(self.events)
        if not isinstance(following, yaml.StreamEndEvent):
            raise self.refused(following, "a job file holds one document")
        if data is None:
            message = f"{_PREFIX}no content provided"
            raise JobFileError(message)
        return data

    def value(self, event: Any, path: str, depth: int) -> object:
        """The value that begins with this event."""
        self.lines.setdefault(path.lower(), _line(event))
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event)
        before = self.nodes
        self.count(event, 1)
        if depth > MAX_DEPTH:
            raise self.refused(event, f"nested deeper than {MAX_DEPTH} levels")
        if event.anchor:
            self.anchors[event.anchor] = None
        data: object
        match event:
            case yaml.ScalarEvent():
                data = self.scalar(event)
            case yaml.SequenceStartEvent():
                self.check_tag(event, "tag:yaml.org,2002:seq")
                data = self.sequence(path, depth)
            case _:
                self.check_tag(event, "tag:yaml.org,2002:map")
                data = self.mapping(path, depth)
        if event.anchor:
            self.anchors[event.anchor] = (data, self.nodes - before)
        return data

    def alias(self, event: Any) -> object:
        """What an alias stands for."""
        if event.anchor not in self.anchors:
            raise self.refused(event, f"unknown anchor {event.anchor!r}")
        anchored = self.anchors[event.anchor]
        if anchored is None:
            raise self.refused(event, f"anchor {event.anchor!r} contains itself")
        data, nodes = anchored
        self.count(event, nodes)
        return data

    def count(self, event: Any, nodes: int) -> None:
        """Count values, so that a few lines of aliases cannot stand for millions."""
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            raise self.refused(event, f"more than {MAX_NODES} values (aliases count each time)")

    def sequence(self, path: str, depth: int) -> list[object]:
        """The items up to the end of a sequence."""
        items: list[object] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self.value(event, f"{path}[{len(items)}]", depth + 1))
        return items

    def mapping(self, path: str, depth: int) -> dict[object, object]:
        """The pairs up to the end of a mapping; `<<` fills in what it does not have itself."""
        found: dict[object, object] = {}
        merged: list[object] = []
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise self.refused(event, "a key that is no plain text (a template that was not filled in?)")
            key = self.scalar(event)
            place = f"{path}.{key}" if path else str(key)
            if key in found:
                raise self.refused(event, f"key {event.value!r} is there already")
            self.lines.setdefault(place.lower(), _line(event))
            value = self.value(next(self.events), place, depth + 1)
            if event.value == "<<" and event.implicit[0]:
                merged += value if isinstance(value, list) else [value]
                if not all(isinstance(one, dict) for one in merged):
                    raise self.refused(event, "<< takes a mapping or a list of mappings")
                continue
            found[key] = value
        for one in merged:
            assert isinstance(one, dict)
            found = one | found
        return found

    def scalar(self, event: Any) -> str | float | bool | dt.date | None:
        """A scalar: text when it is quoted or tagged so, else what YAML takes it for."""
        text: str = event.value
        if event.tag is not None:
            self.check_tag(event, *_TEXT_TAGS)
            return text
        return resolved(text) if event.implicit[0] else text

    def check_tag(self, event: Any, *allowed: str) -> None:
        """Refuse tags: they name types of programs, not of jobs."""
        if event.tag is not None and event.tag not in allowed:
            raise self.refused(event, f"the tag {event.tag} is not allowed")

    def refused(self, event: Any, reason: str) -> JobFileError:
        """An error with the line of an event."""
        line = _line(event)
        return JobFileError(f"{_PREFIX}line {line}: {reason}", line)


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def resolved(text: str) -> str | float | bool | dt.date | None:
    """What plain (unquoted) text of YAML is: null, a boolean, a decimal number, a date, or text."""
    if text in _NULLS:
        return None
    if text.lower() in _TRUE | _FALSE:
        return text.lower() in _TRUE
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if text.lower() in _ODD_FLOATS:
        return float(_ODD_FLOATS[text.lower()])
    try:
        if _DATE.fullmatch(text):
            return dt.date(*map(int, text.split("-")))
        if _TIME.fullmatch(text):
            return dt.datetime.fromisoformat(text)
    except ValueError:
        return text
    return text


def _field(data: object, name: str) -> Any:
    """A field of plain data, in any key case; None = it is not there."""
    if not isinstance(data, dict):
        return None
    return next((value for key, value in data.items() if isinstance(key, str) and key.lower() == name), None)


def _local_params(data: object) -> Iterator[dict[Any, Any]]:
    """The params of every local input."""
    tasks = _field(data, "tasks")
    for task in tasks if isinstance(tasks, list) else []:
        inputs = _field(task, "inputsources")
        for one in inputs if isinstance(inputs, list) else []:
            source = _field(one, "source")
            params = _field(source, "params")
            if str(_field(source, "type")).strip().lower() in ("local", "localdirectory") and isinstance(params, dict):
                yield params


def _make_absolute(params: dict[Any, Any], directory: Path) -> None:
    for key, value in params.items():
        if isinstance(key, str) and key.lower() == "sourcepath" and isinstance(value, str) and value:
            params[key] = os.path.normpath(directory.absolute() / value)

"""The form of a job: lines that each read and write one value of its document."""

import re
import shlex
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import msgspec

Path_ = tuple[str | int, ...]
SEVERAL_LINES = "(several lines: F2)"
ODD = "(unusual characters: F2)"
"""What a field says whose value a line cannot show."""


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the form. `path` leads to the value in the document, names in the case in which they are written anew."""

    id: str
    label: str
    path: Path_
    hint: str = ""
    is_number: bool = False
    engines: tuple[str, ...] = ()
    """Engines that know it; empty = all."""


TASK: Path_ = ("Tasks", 0)
FIELDS = (
    Field(id="name", label="name", path=("Name",), hint="the same name again is an update"),
    Field(id="count", label="partitions", path=("Count",), hint="1", is_number=True),
    Field(id="engine", label="engine", path=(*TASK, "Engine", "Type"), hint="process or docker"),
    Field(id="image", label="image", path=(*TASK, "Engine", "Params", "Image"), engines=("docker",)),
    Field(id="command", label="command", path=(*TASK, "Engine", "Params"), hint="as in a shell: python run.py --fast"),
    Field(id="env", label="environment", path=(*TASK, "Env"), hint="NAME=value OTHER='a b'"),
    Field(id="cpu", label="cpu", path=(*TASK, "Resources", "CPU"), hint="500m"),
    Field(id="memory", label="memory", path=(*TASK, "Resources", "Memory"), hint="512mb"),
    Field(
        id="timeout",
        label="timeout",
        path=(*TASK, "Timeouts", "ExecutionTimeout"),
        hint="of one execution: 600, 10m",
        is_number=True,
    ),
    Field(id="attempts", label="attempts", path=("Retry", "MaxAttempts"), hint="3", is_number=True),
    Field(
        id="backoff", label="backoff", path=("Retry", "Backoff", "Initial"), hint="seconds: 1, doubled", is_number=True
    ),
    Field(id="publisher", label="publisher", path=(*TASK, "Publisher", "Type"), hint="orchestrator; empty = none"),
)
ENGINES = ("process", "docker")
"""What the form can write the command of."""
BY_ID: Mapping[str, Field] = {field.id: field for field in FIELDS}


def value_of(data: Any, field: Field) -> str:
    """What the form shows for a field; empty where the document has nothing, or something else than the form knows."""
    found = _at(data, field.path)
    if field.id == "command":
        words = _words(found)
        if any("\n" in word for word in words):
            return SEVERAL_LINES
        return shlex.join(words)
    if field.id == "env":
        return " ".join(f"{name}={shlex.quote(str(value))}" for name, value in found.items()) if _is_map(found) else ""
    if found is None or isinstance(found, dict | list):
        return ""
    return str(found)


def changed(data: Any, field: Field, text: str) -> dict[str, Any]:
    """The document with another value of a field. Raises ValueError that names field, found, allowed."""
    fresh: dict[str, Any] = msgspec.to_builtins(data) if _is_map(data) else {}
    text = text.strip()
    if field.id == "command":
        if text == SEVERAL_LINES:
            return fresh
        _set_words(fresh, _split(field, text, "words as in a shell"))
        return fresh
    value: object = text
    if field.id == "env":
        value = _pairs(field, text)
    elif field.is_number and re.fullmatch(r"\d{1,40}", text, re.ASCII):
        value = int(text)
    elif field.is_number and re.fullmatch(r"\d{0,40}\.\d{1,40}", text, re.ASCII):
        value = float(text)
    _put(fresh, field.path, value if text else None)
    return fresh


def _is_map(value: object) -> bool:
    return isinstance(value, dict)


def _key(data: Mapping[Any, Any], name: str) -> str:
    """The key as the document writes it: any case will do."""
    return next((key for key in data if isinstance(key, str) and key.lower() == name.lower()), name)


def _at(data: Any, path: Path_) -> Any:
    for step in path:
        if isinstance(step, str):
            data = data.get(_key(data, step)) if isinstance(data, dict) else None
        elif isinstance(data, list) and step < len(data):
            data = data[step]
        else:
            data = None
    return data


def _put(data: dict[str, Any], path: Path_, value: object) -> None:
    """Set, or with None remove, making what is missing on the way."""
    here: Any = data
    for step, after in pairwise(path):
        made: Any = [] if isinstance(after, int) else {}
        if isinstance(step, int):
            while len(here) <= step:
                here.append({})
            if not isinstance(here[step], type(made)):
                here[step] = made
            here = here[step]
        else:
            key = _key(here, step)
            if not isinstance(here.get(key), type(made)):
                if value is None:
                    return
                here[key] = made
            here = here[key]
    last = _key(here, str(path[-1]))
    if value is None:
        here.pop(last, None)
    else:
        here[last] = value


def raw_of(data: Any, field: Field) -> object:
    """The value as the document has it, to tell whether it changed."""
    found = _at(data, field.path)
    return _words(found) if field.id == "command" else found


def is_about(path: str, field: Field) -> bool:
    """Whether a path as problems name it (`Tasks[0].Env.A`) is a field's, or inside of it."""
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in field.path)[1:].lower()
    return f"{path.lower()}.".startswith(f"{place}.")


def has(engine: str, field: Field) -> bool:
    """Whether an engine knows a field."""
    return not field.engines or engine in field.engines


def for_its_engine(data: dict[str, Any], aside: dict[str, str]) -> dict[str, Any]:
    """The document as its engine, which was another before, wants it; values that it has not wait in `aside` for their engine.

    A name that is still being typed is no engine: then nothing moves.
    """
    engine = engine_of(data)
    if engine not in ENGINES:
        return data
    _set_words(data, _words(_at(data, BY_ID["command"].path)))
    for field in FIELDS:
        value = value_of(data, field)
        if not has(engine, field):
            aside[field.id] = value
            _put(data, field.path, None)
        elif field.engines and not value and aside.get(field.id):
            _put(data, field.path, aside[field.id])
    return data


def engine_of(data: Any) -> str:
    """The type of engine, in lower case."""
    return str(_at(data, BY_ID["engine"].path) or "").lower()


def _words(params: Any) -> list[str]:
    if not isinstance(params, dict):
        return []
    found: list[str] = []
    for name in ("Command", "Arguments", "Entrypoint", "Parameters"):
        value = params.get(_key(params, name))
        found += [value] if isinstance(value, str) else [str(one) for one in value] if isinstance(value, list) else []
    return found


def _set_words(data: dict[str, Any], words: Sequence[str]) -> None:
    params: Path_ = (*TASK, "Engine", "Params")
    for name in ("Command", "Arguments", "Entrypoint", "Parameters"):
        _put(data, (*params, name), None)
    if not words:
        return
    if engine_of(data) == "docker":
        _put(data, (*params, "Parameters"), list(words))
    else:
        _put(data, (*params, "Command"), words[0])
        if words[1:]:
            _put(data, (*params, "Arguments"), list(words[1:]))


def _pairs(field: Field, text: str) -> dict[str, str]:
    found = {}
    for pair in _split(field, text, "NAME=value, with quotes as in a shell"):
        name, sign, value = pair.partition("=")
        if not sign or not name:
            message = f"{field.label}: found {pair!r}, allowed: NAME=value"
            raise ValueError(message)
        found[name] = value
    return found


def _split(field: Field, text: str, allowed: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        reason = {"No closing quotation": "a quote is not closed", "No escaped character": "nothing after the \\"}
        message = f"{field.label}: found {text!r} ({reason.get(str(error), error)}), allowed: {allowed}"
        raise ValueError(message) from error

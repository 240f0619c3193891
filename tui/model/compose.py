"""A job while it is composed: one YAML text is the truth, a form reads and writes fields of it, both are checked alike."""

import re
import shlex
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import yaml

from orchestrator.contract.api import Problem
from orchestrator.contract.decode import decode_job
from orchestrator.contract.job import Job
from tui.jobfile import JobFileError, read_job_file

Path_ = tuple[str | int, ...]
RESERVED = "bacalhau.org/"
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
BY_ID: Mapping[str, Field] = {field.id: field for field in FIELDS}

PROCESS = """\
Name: hello
Type: batch
Count: 4
Tasks:
  - Name: main
    Engine:
      Type: process
      Params:
        Command: sh
        Arguments: [-c, 'echo "hello from partition $BACALHAU_PARTITION_INDEX"']
    Resources: {CPU: 100m, Memory: 32mb}
"""
DOCKER = """\
Name: hello
Type: batch
Count: 4
Tasks:
  - Name: main
    Engine:
      Type: docker
      Params:
        Image: busybox
        Parameters: [sh, -c, 'echo "hello from partition $BACALHAU_PARTITION_INDEX"']
    Resources: {CPU: 100m, Memory: 32mb}
"""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One problem, with the line of the text that it is about; 0 = none."""

    text: str
    line: int = 0


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What a text is: a job, or what is wrong with it."""

    job: Job | None
    data: Any
    findings: tuple[Finding, ...]
    warnings: tuple[str, ...] = ()


def check(text: str) -> Checked:
    """Read and check a text as `shoal job validate` does. Never raises."""
    try:
        read = read_job_file(text)
    except JobFileError as error:
        message = str(error).removeprefix("the job provided is invalid: ")
        return Checked(job=None, data=None, findings=(Finding(text=message, line=error.line or 0),))
    decoded = decode_job(read.data, is_file=True)
    return Checked(
        job=decoded.job,
        data=read.data,
        findings=tuple(finding(problem, read.line(problem.path)) for problem in decoded.problems),
        warnings=decoded.warnings,
    )


def finding(problem: Problem, line: int | None) -> Finding:
    """A problem with its line."""
    place = "" if not problem.path or problem.path in str(problem) else f"{problem.path}: "
    return Finding(text=f"{place}{problem}", line=line or 0)


# The form


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
        try:
            words = shlex.split(text)
        except ValueError as error:
            message = f"command: found {text!r} ({error}), allowed: words as in a shell"
            raise ValueError(message) from error
        _set_words(fresh, words)
        return fresh
    value: object = text
    if field.id == "env":
        value = _pairs(text)
    elif field.is_number and re.fullmatch(r"\d+", text):
        value = int(text)
    elif field.is_number and re.fullmatch(r"\d*\.\d+", text):
        value = float(text)
    _put(fresh, field.path, value if text else None)
    return fresh


def dumped(data: Any) -> str:
    """A document as YAML, in the order in which it was written."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


class _Dumper(yaml.SafeDumper):
    """Texts of several lines are written as such."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


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


def _pairs(text: str) -> dict[str, str]:
    found = {}
    for pair in shlex.split(text):
        name, sign, value = pair.partition("=")
        if not sign or not name:
            message = f"environment: found {pair!r}, allowed: NAME=value"
            raise ValueError(message)
        found[name] = value
    return found


# Where texts come from, and go


def next_name(name: str) -> str:
    """`etl` -> `etl-2`, `etl-2` -> `etl-3`: the same name would be an update."""
    match = re.fullmatch(r"(.*)-(\d{1,6})", name)
    return f"{match[1]}-{int(match[2]) + 1}" if match else f"{name}-2"


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """A text to begin with."""

    name: str
    origin: str
    text: str


def templates(*directories: Path) -> list[Template]:
    """Two small ones of our own, then the job files of directories."""
    found = [
        Template(name="process", origin="built in", text=PROCESS),
        Template(name="docker", origin="built in", text=DOCKER),
    ]
    for directory in directories:
        for path in sorted(directory.glob("**/*.yaml")):
            try:
                text = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                continue
            if "tasks" in text.lower():
                shown = read_with_directory(text, path.parent)
                found.append(Template(name=path.stem, origin=str(path.relative_to(directory.parent)), text=shown))
    return found


def read_with_directory(text: str, directory: Path) -> str:
    """A text whose relative local inputs name their place, because it will be read from elsewhere."""
    if "sourcepath" not in text.lower():
        return text
    try:
        return dumped(read_job_file(text, directory).data)
    except JobFileError:
        return text


def without_reserved(data: dict[str, Any]) -> dict[str, Any]:
    """A document without the meta keys that the server sets by itself."""
    meta = data.get("Meta")
    if isinstance(meta, dict):
        kept = {key: value for key, value in meta.items() if not str(key).startswith(RESERVED)}
        data = {key: value for key, value in data.items() if key != "Meta"} | ({"Meta": kept} if kept else {})
    return data


def as_command(text: str, url: str) -> str:
    """A line for a shell that submits it."""
    mark = "EOF"
    while mark in text:
        mark += "_"
    return f"shoal --api-host {url} job run - <<'{mark}'\n{text.rstrip()}\n{mark}\n"

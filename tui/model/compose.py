"""A job while it is composed: one YAML text is the truth, a form reads and writes fields of it, both are checked alike."""

import json
import re
from itertools import takewhile
from pathlib import Path
from typing import Any

import msgspec
import yaml

from orchestrator.contract.api import Problem
from orchestrator.contract.decode import decode_job
from orchestrator.contract.job import Job
from tui.jobfile import JobFileError, read_job_file, resolved
from tui.model import form
from tui.model.text import clean

RESERVED = "bacalhau.org/"

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
    """One problem, with the line of the text that it is about, 0 = none, and the path in the document."""

    text: str
    line: int = 0
    path: str = ""


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
        message = str(error).removeprefix("the job provided is invalid: ").replace(f"line {error.line}: ", "", 1)
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
    if problem.path and problem.found and problem.allowed:
        problem = msgspec.structs.replace(problem, message="")
    place = "" if not problem.path or problem.path in str(problem) else f"{problem.path}: "
    return Finding(text=f"{place}{problem}", line=line or 0, path=problem.path)


UNKNOWN = object()
"""What a field has in a text that cannot be read."""


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """What was typed into a field, and the document cannot hold."""

    text: str
    problem: str
    instead_of: object
    """What the document had there then, and still has."""


class Composition:
    """A job while it is composed: its text, and what was typed into the form that the text cannot hold.

    Such a text stays, and there is no job, until the field is right, or its value is changed in the YAML.
    """

    def __init__(self, draft: str = PROCESS) -> None:
        self.begin(draft)

    def begin(self, draft: str) -> None:
        """Begin anew with a text, or with what `draft` made of one."""
        lines = draft.splitlines(keepends=True)
        typed = list(takewhile(lambda one: one is not None, (_TYPED.fullmatch(line.rstrip("\n")) for line in lines)))
        self.refused: dict[str, Refused] = {}
        self._aside: dict[str, str] = {}
        self.write("".join(lines[len(typed) :]))
        for match in typed:
            if match is not None and match[1] in form.BY_ID:
                self.enter(form.BY_ID[match[1]], _unquoted(match[2]))

    def write(self, text: str) -> None:
        """The text is another: where it changes the value of a refused field, it says what is wanted there."""
        self.text = text
        self.checked = check(text)
        if isinstance(self.checked.data, dict):
            for name, one in list(self.refused.items()):
                now = form.raw_of(self.checked.data, form.BY_ID[name])
                if one.instead_of is UNKNOWN:
                    self.refused[name] = msgspec.structs.replace(one, instead_of=now)
                elif now != one.instead_of:
                    del self.refused[name]

    def enter(self, field: form.Field, text: str) -> None:
        """A field of the form is another."""
        data = self.checked.data
        try:
            fresh = form.changed(data, field, text)
        except ValueError as error:
            there = form.raw_of(data, field) if self.has_form else UNKNOWN
            self.refused[field.id] = Refused(text=text, problem=str(error), instead_of=there)
            return
        self.refused.pop(field.id, None)
        if fresh == data or not self.has_form:
            return
        if field.id == "engine":
            fresh = form.for_its_engine(fresh, self._aside)
        waiting = self.refused
        self.write(dumped(fresh))
        self.refused = {
            name: msgspec.structs.replace(one, instead_of=form.raw_of(self.checked.data, form.BY_ID[name]))
            for name, one in waiting.items()
        }

    def shown(self, field: form.Field) -> str:
        """What the form shows for a field."""
        refused = self.refused.get(field.id)
        return clean(refused.text) if refused else form.value_of(self.checked.data, field)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All that is to mend, what the text cannot hold first; what the text has there instead is of no interest."""
        refused = [Finding(text=one.problem) for one in self.refused.values()]
        fields = [form.BY_ID[name] for name in self.refused]
        others = [one for one in self.checked.findings if not any(form.is_about(one.path, field) for field in fields)]
        return (*refused, *others)

    @property
    def job(self) -> Job | None:
        """The job, if nothing is to mend."""
        return None if self.refused else self.checked.job

    @property
    def has_form(self) -> bool:
        """Whether the form can show it: changing a field of a text that cannot be read would replace the text."""
        return isinstance(self.checked.data, dict) or not self.text.strip()

    def draft(self) -> str:
        """All of it as one text, a comment for each refused field first."""
        return (
            "".join(f"# {name}, as typed: {json.dumps(one.text)}\n" for name, one in self.refused.items()) + self.text
        )


_TYPED = re.compile(r'# (\w+), as typed: (".*")')


def _unquoted(text: str) -> str:
    try:
        return str(json.loads(text))
    except ValueError:
        return text


# The text


def dumped(data: Any) -> str:
    """A document as YAML, in the order in which it was written."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


class _Dumper(yaml.SafeDumper):
    """Texts of several lines are written as such; those that would be read as a number or else are quoted."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None if resolved(text) == text else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


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

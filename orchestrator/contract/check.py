"""Rules of a job that go beyond types: `check(job)` is run by the CLI offline and by the server, and finds all of them."""

from collections.abc import Iterator
from itertools import islice

import msgspec

from orchestrator.contract.api import Problem
from orchestrator.contract.check_task import task_problems
from orchestrator.contract.job import Constraint, Job
from orchestrator.contract.selectors import (
    KEY_RULE,
    OPERATORS,
    PREFERENCE,
    VALUE_RULE,
    integer,
    is_label_key,
    is_label_value,
)
from orchestrator.contract.units import INT64
from orchestrator.contract.walk import MAX_PROBLEMS, below, listed, nearest, plain_problems, shown

MAX_COUNT = 1_000_000
MAX_NAME = 253
_NAME_RULE = f"printable text of at most {MAX_NAME} characters, without '/', a blank at either end or a leading '@'"


def check(job: Job) -> list[Problem]:
    """Everything that is wrong with a job, in the order of its fields. Empty = it may be stored."""
    problems = [
        *_job_problems(job),
        *islice(_label_problems(job), MAX_PROBLEMS),
        *islice(_all_constraint_problems(job), MAX_PROBLEMS),
    ]
    if not job.tasks:
        problems.append(Problem(path="Tasks", found="nothing", allowed="one task", message="missing job tasks"))
    for at, task in enumerate(job.tasks):
        problems += task_problems(task, f"Tasks[{at}]")
    return problems + [problem for problem in _loose_text(job) if all(problem.path != known.path for known in problems)]


def name_problem(text: str) -> str:
    """What a name of a job or namespace must be, if this is none; empty = it is one."""
    is_name = len(text) <= MAX_NAME and text.isprintable() and "/" not in text and text == text.strip()
    return "" if is_name and not text.startswith("@") else _NAME_RULE


def _job_problems(job: Job) -> Iterator[Problem]:
    for path, text in (("Name", job.name), ("Namespace", job.namespace)):
        if "\0" in text:
            message = f"job {path} contains a null character"
            yield Problem(path=path, found=shown(text), allowed=_NAME_RULE, message=message)
        elif rule := name_problem(text):
            yield Problem(path=path, found=shown(text), allowed=rule)
    if not job.namespace or job.namespace == "*":
        yield Problem(
            path="Namespace", found=shown(job.namespace), allowed=_NAME_RULE, message="job must be in a namespace"
        )
    if " " in job.id or "\0" in job.id:
        message = f"job ID contains a {'space' if ' ' in job.id else 'null character'}"
        yield Problem(path="ID", found=shown(job.id), allowed="text without blanks", message=message)
    if not -INT64 - 1 <= job.priority <= INT64:
        yield Problem(path="Priority", found=shown(job.priority), allowed="a whole number of 64 bits")
    if job.count < 0:
        yield Problem(
            path="Count", found=shown(job.count), allowed=f"0 to {MAX_COUNT}", message="job count must be >= 0"
        )
    if job.count > MAX_COUNT:
        message = f"job count must be <= {MAX_COUNT}"
        yield Problem(path="Count", found=shown(job.count), allowed=f"0 to {MAX_COUNT}", message=message)


def _label_problems(job: Job) -> Iterator[Problem]:
    for key, value in job.labels.items():
        if not is_label_key(key):
            yield Problem(path=below("Labels", key), found=f"key {shown(key)}", allowed=KEY_RULE)
        elif not is_label_value(value):
            yield Problem(path=below("Labels", key), found=shown(value), allowed=VALUE_RULE)


def _all_constraint_problems(job: Job) -> Iterator[Problem]:
    for at, constraint in enumerate(job.constraints):
        yield from _constraint_problems(constraint, at)


def _constraint_problems(constraint: Constraint, at: int) -> Iterator[Problem]:
    path = f"Constraints[{at}]"
    prefix = f"constraint {at + 1} validation failed: "
    operator, values = constraint.operator, constraint.values
    if not constraint.key.removeprefix(PREFERENCE).strip():
        message = f"{prefix}selector key cannot be blank"
        yield Problem(path=f"{path}.Key", found=shown(constraint.key), allowed="the key of a label", message=message)
    if operator not in OPERATORS:
        signs = {">": "gt", "<": "lt", "exist": "exists", "not in": "notin", "<>": "!="}
        near = signs.get(operator, operator.strip().lower())
        hint = f"did you mean {near}?" if near in OPERATORS else nearest(operator, OPERATORS)
        yield Problem(path=f"{path}.Operator", found=shown(operator), allowed=listed(OPERATORS), hint=hint)
        return
    wrong = ""
    if operator in ("in", "notin"):
        wrong = "" if values else "selector values cannot be empty for In or NotIn operators"
    elif operator in ("exists", "!"):
        wrong = "selector values must be empty for Exists or KeyNotInImap operators" if values else ""
    elif len(values) != 1:
        wrong = "selector values must have exactly one value for other operators"
    elif operator in ("gt", "lt") and integer(values[0]) is None:
        wrong = "for 'Gt', 'Lt' operators, the value must be an integer"
    if wrong:
        found = f"{len(values)} values" if len(values) != 1 else shown(values[0])
        yield Problem(
            path=f"{path}.Values", found=found, allowed=f"what {operator!r} compares with", message=prefix + wrong
        )


def _loose_text(job: Job) -> Iterator[Problem]:
    """Null characters and the like anywhere in the job's free text, also where no rule looks."""
    texts = {"Meta": job.meta}
    for at, task in enumerate(job.tasks):
        texts |= {f"Tasks[{at}].Env": task.env, f"Tasks[{at}].Meta": task.meta}
    for path, text in texts.items():
        for problem in plain_problems(text):
            yield msgspec.structs.replace(problem, path=below(path, problem.path) if problem.path else path)

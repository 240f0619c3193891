"""The lenient edge: from plain data (parsed JSON or YAML) to the contract's structs, with every problem of it.

Jobs are strict about names at every level; the requests around them are not, because Bacalhau's clients send more.
"""

import itertools
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from orchestrator.contract.api import Problem
from orchestrator.contract.check import check
from orchestrator.contract.job import Job, Retry
from orchestrator.contract.normalise import normalise
from orchestrator.contract.units import duration, go_bool, parse_cpu, parse_gpu, parse_size, resources
from orchestrator.contract.walk import (
    MAX_PROBLEMS,
    NULL_CHARACTER,
    TOO_DEEP,
    TOO_MANY,
    Walk,
    covers,
    fields_of,
    listed,
    plain_problems,
    shown,
)

__all__ = [
    "Decoded",
    "decode_body",
    "decode_job",
    "decode_request",
    "duration",
    "go_bool",
    "parse_cpu",
    "parse_gpu",
    "parse_size",
    "resources",
]

S = TypeVar("S", bound=msgspec.Struct)

SERVER_KEYS = frozenset({"ID", "State", "Version", "Revision", "CreateTime", "ModifyTime"})
"""What clients send back as they got it; the server's own to set."""
UNBUILT: dict[type, tuple[str, ...]] = {
    Job: ("Failure", "Success", "Parallelism", "Stragglers", "Partitions", "Items", "After", "KeepFor"),
    Retry: ("Rules",),
}
"""What PRODUCT promises and nothing acts on yet."""
REQUEST_KEYS = frozenset({"namespace", "credential", "idempotencytoken"})
"""In the body of every request of Bacalhau's clients."""


class Decoded(msgspec.Struct, frozen=True, kw_only=True):
    """A job as it will be kept, or what is wrong with it."""

    job: Job | None
    """Normalised, with defaults; id, version and times are still to be given. None exactly when there are problems."""
    problems: tuple[Problem, ...]
    warnings: tuple[str, ...]


def decode_body(raw: bytes) -> object:
    """The JSON of a request body; an empty one is an object without fields.

    Raises ValueError, with the position where there is one, for what is no JSON, more than 64 levels deep, beyond 64 bits,
    or holds a null character.
    """
    try:
        body: object = msgspec.json.decode(raw or b"{}")
    except RecursionError as error:
        message = "the body is nested too deeply: at most 64 levels"
        raise ValueError(message) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        message = f"the body is no JSON: {error}"
        raise ValueError(message) from error
    for problem in plain_problems(body):
        raise ValueError(str(problem))
    return body


def decode_job(raw: object, *, is_file: bool = False) -> Decoded:
    """A job from plain data, in any key case, checked whole. Never raises.

    `is_file`: the rules of a job file, which may not hold what the server sets.
    """
    if raw is None:
        return _refused([Problem(path="", found="no job", allowed="a job", message="empty/nil job")])
    problems = plain_problems(raw)
    if any(problem.found in (TOO_DEEP, TOO_MANY) for problem in problems):
        return _refused(problems)
    walk = Walk(sentences={"Type": 'invalid job type: "{}"'}, unbuilt=UNBUILT)
    own, servers = _split(raw)
    if is_file:
        problems += [_not_in_a_file(key) for key in servers]
    given = walk.struct(own, Job, "", hidden=SERVER_KEYS)
    problems = _merged(problems, walk.problems)
    normal = normalise(given if isinstance(given, dict) else {}, _by_name(servers))
    problems = _merged(problems, normal.problems)
    checked = check(normal.job)
    sentences = {problem.path: problem for problem in checked if problem.message}
    problems = [sentences.get(one.path, one) if one.found == NULL_CHARACTER else one for one in problems]
    problems = _merged(problems, checked)
    return Decoded(job=None if problems else normal.job, problems=_short(problems), warnings=normal.warnings)


def decode_request(
    raw: object, into: type[S], *, is_query: bool = False, is_strict: bool = False
) -> tuple[S | None, tuple[Problem, ...]]:
    """A small request body, or with `is_query` the parameters of a query (text, or a list of it), as a struct.

    Keys match in any case; unknown ones are refused only if `is_strict` (then but what every client of Bacalhau's sends).
    A missing required field is a problem. None exactly when there are problems.
    """
    problems = [] if is_query else plain_problems(raw)
    if problems:
        return None, tuple(problems)
    if is_strict and isinstance(raw, dict):
        known = fields_of(into).by_lower
        raw = {key: value for key, value in raw.items() if key.lower() in known or key.lower() not in REQUEST_KEYS}
    walk = Walk(is_query=is_query)
    given = walk.struct(raw, into, "", is_strict=is_strict)
    problems = list(walk.problems)
    if isinstance(given, dict):
        required = {field.encode_name for field in fields_of(into).by_lower.values() if field.required}
        missing = sorted(required - set(given) - {problem.path for problem in problems})
        problems += [
            Problem(path=name, found="nothing", allowed="a value", message=f"missing {name}") for name in missing
        ]
    if problems:
        return None, tuple(problems)
    try:
        return msgspec.convert(given, into), ()
    except msgspec.ValidationError as error:
        return None, (Problem(path="", found="a value that does not fit", allowed="", message=str(error)),)


def _refused(problems: list[Problem]) -> Decoded:
    return Decoded(job=None, problems=tuple(problems), warnings=())


def _split(raw: object) -> tuple[object, Mapping[str, Any]]:
    """The user's part of a job, and the server's, which has its own keys as they were spelled."""
    if not isinstance(raw, dict):
        return raw, {}
    names = {name.lower() for name in SERVER_KEYS}
    servers = {key: value for key, value in raw.items() if isinstance(key, str) and key.lower() in names}
    return {key: value for key, value in raw.items() if key not in servers}, servers


def _by_name(servers: Mapping[str, Any]) -> dict[str, Any]:
    names = {name.lower(): name for name in SERVER_KEYS}
    return {names[key.lower()]: value for key, value in servers.items()}


def _not_in_a_file(key: str) -> Problem:
    message = f"field: '{key}' in 'Job' is not allowed"
    allowed = listed(name for name in fields_of(Job).names if name not in SERVER_KEYS)
    return Problem(path=key, found=f"key {shown(key)}", allowed=allowed, hint="leave it out", message=message)


def _short(problems: list[Problem]) -> tuple[Problem, ...]:
    """At most a hundred problems, and none of them with more of the document in it than a person reads."""
    short = [
        msgspec.structs.replace(problem, hint=problem.hint[:300], message=problem.message[:1000])
        for problem in problems[:MAX_PROBLEMS]
    ]
    if len(problems) >= MAX_PROBLEMS:
        message = f"only the first {MAX_PROBLEMS} problems are told"
        short.append(Problem(path="", found="more problems", allowed="none", message=message))
    return tuple(short)


def _merged(problems: list[Problem], more: list[Problem]) -> list[Problem]:
    """Both, without what follows from a problem that is already there, and no more than are told."""
    new = (one for one in more if not any(known.path and covers(known.path, one.path) for known in problems))
    return problems + list(itertools.islice(new, max(0, MAX_PROBLEMS - len(problems))))

"""Requests, answers, errors and paging tokens of the REST API."""

import base64
import binascii
import re
from typing import Any

from msgspec import field

from orchestrator.contract.agent import Stream
from orchestrator.contract.execution import Execution
from orchestrator.contract.history import JobHistory
from orchestrator.contract.ids import JobId
from orchestrator.contract.job import Job, SpecConfig
from orchestrator.contract.node import NodeState
from orchestrator.contract.spec import Spec

MAX_BODY = 10_000_000
"""Bytes; a larger body of a public route is answered 413."""


class Problem(Spec, frozen=True, kw_only=True, omit_defaults=False):
    """One thing that is wrong with what was sent."""

    path: str
    """`Tasks[0].Resources.Memory`; empty = the whole document."""
    found: str
    allowed: str
    hint: str = ""
    """The nearest known name, or what to do."""
    message: str = ""
    """Bacalhau's sentence for it where there is one, else ours."""

    def __str__(self) -> str:
        """One line for people."""
        if self.message:
            return self.message
        place = f"{self.path}: " if self.path else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}found {self.found}, allowed: {self.allowed}{hint}"


class ErrorEnvelope(Spec, frozen=True, kw_only=True):
    """The body of every answer that is not 200."""

    status: int
    message: str
    request_id: str
    code: str
    component: str
    hint: str = ""
    details: dict[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


class PutJobResponse(Spec, frozen=True, kw_only=True):
    """Answer to a submission."""

    job_id: JobId
    evaluation_id: str
    warnings: tuple[str, ...] | None
    job_version: int = 0


class RerunResponse(Spec, frozen=True, kw_only=True):
    """Answer to a rerun."""

    job_id: JobId
    job_version: int
    """The new one."""
    evaluation_id: str
    warnings: tuple[str, ...] | None


class DiffResponse(Spec, frozen=True, kw_only=True):
    """Answer to a comparison of a job with the one of its name."""

    diff: str
    """Lines that begin with `-`, `+` or a blank; empty = no difference."""
    warnings: tuple[str, ...] | None


class StopJobResponse(Spec, frozen=True, kw_only=True):
    """Answer to a stop. Empty = there was nothing to stop."""

    evaluation_id: str


class JobList(Spec, frozen=True, kw_only=True):
    """A page of jobs, or all versions of one."""

    next_token: str
    items: tuple[Job, ...]


class HistoryList(Spec, frozen=True, kw_only=True):
    """A page of a job's history. The token is empty only when all was read and the job has ended."""

    next_token: str
    items: tuple[JobHistory, ...]


class ExecutionList(Spec, frozen=True, kw_only=True):
    """Executions of a job."""

    next_token: str
    items: tuple[Execution, ...]


class GetJobResponse(Spec, frozen=True, kw_only=True):
    """One job; history and executions where they were asked for."""

    job: Job
    history: HistoryList | None = None
    executions: ExecutionList | None = None


class ResultList(Spec, frozen=True, kw_only=True):
    """Where the results of a job are: one item a published execution."""

    next_token: str
    items: tuple[SpecConfig, ...]


class NodeList(Spec, frozen=True, kw_only=True):
    """Nodes. Sent under both spellings, because Bacalhau's Python client reads the lower-case one."""

    next_token: str
    nodes: tuple[NodeState, ...]


class LogFrameValue(Spec, frozen=True, kw_only=True):
    """One line of a log on the WebSocket. `partition` and `attempt` only in streams of many partitions."""

    type: int
    """1 = stdout, 2 = stderr."""
    line: str
    partition: int | None = None
    attempt: int | None = None
    time: str = ""
    event: str = ""
    """Ours: a line about the stream itself (`attempt 2 on n-07`, `waiting: ...`), not of the log; `line` is then empty."""


class LogFrame(Spec, frozen=True, kw_only=True):
    """One text frame of the log WebSocket."""

    value: LogFrameValue = field(name="value")
    error: str = field(default="", name="error")


STREAM_NUMBERS = {Stream.OUT: 1, Stream.ERR: 2}


class PagingToken(Spec, frozen=True, kw_only=True):
    """Where a listing goes on: base64url of `sort:Y|N:limit:offset`, without padding, as Bacalhau's."""

    sort_by: str = ""
    is_reversed: bool = False
    limit: int = 0
    offset: int = 0

    def encode(self) -> str:
        """The text that clients send back."""
        raw = f"{self.sort_by}:{'Y' if self.is_reversed else 'N'}:{self.limit}:{self.offset}"
        return base64.urlsafe_b64encode(raw.encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> "PagingToken":
        """Read a token.

        Raises ValueError with Bacalhau's sentence when it is none.
        """
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode(
                errors="replace"
            )
        except binascii.Error as error:
            message = f"failed to decode paging token: invalid paging token: {text}"
            raise ValueError(message) from error
        parts = raw.split(":")
        if len(parts) != 4:
            message = f"invalid number of parts: invalid paging token: {text}"
            raise ValueError(message)
        sort_by, order, limit, offset = parts
        number = re.compile(r"\d{1,10}")
        if order not in ("Y", "N") or not number.fullmatch(limit) or not number.fullmatch(offset):
            message = f"malformed token: invalid paging token: {text}"
            raise ValueError(message)
        if int(limit) >= 2**32 or int(offset) >= 2**32:
            message = f"malformed token: invalid paging token: {text}"
            raise ValueError(message)
        return cls(sort_by=sort_by, is_reversed=order == "Y", limit=int(limit), offset=int(offset))


def cased(body: dict[str, Any], *keys: str) -> dict[str, Any]:
    """`body` with the named keys also in lower case at the first letter, for clients that read that spelling."""
    return body | {key[0].lower() + key[1:]: body[key] for key in keys}

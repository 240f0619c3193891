"""The client of the REST API: one typed method a route. Used by the CLI and the TUI; also reads a real Bacalhau.

How it asks is in `client_http`. Streams (all jobs, watch, logs, archives) are in `client_stream`.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import httpx
import msgspec

from orchestrator import client_fold, client_reasons
from orchestrator.client_http import ClientError, Connection, Query, UnreachableError, not_offered, refusal, unreachable
from orchestrator.contract.api import (
    DiffResponse,
    ExecutionList,
    GetJobResponse,
    HistoryList,
    JobList,
    NodeList,
    PutJobResponse,
    RerunResponse,
    ResultList,
    StopJobResponse,
)
from orchestrator.contract.execution import Execution
from orchestrator.contract.job import Job, ResourcesConfig
from orchestrator.contract.node import BuildVersion, NodeInfo, NodeState
from orchestrator.contract.overview import ClusterEvents, JobChanged, ListedJobs, Me, NodeChanged
from orchestrator.contract.partitions import (
    ActionResult,
    Explanations,
    Failures,
    Grid,
    LogMatches,
    LogRange,
    PartitionDetail,
    PartitionInputs,
    Rows,
)
from orchestrator.contract.plan import Plan

__all__ = [
    "JOBS",
    "NODES",
    "NOT_SUBMITTED",
    "ClientError",
    "OrchestratorClient",
    "Query",
    "UnreachableError",
    "refusal",
    "unreachable",
]

JOBS = "/api/v1/orchestrator/jobs"
NODES = "/api/v1/orchestrator/nodes"
EVENTS = "/api/v1/orchestrator/events"
MOST_EVENTS = 1000
"""Lines of a Bacalhau's history that are looked at for why a job waits."""
NOT_SUBMITTED = ("ID", "State", "Version", "Revision", "CreateTime", "ModifyTime")
"""Keys of a job that the server sets: not sent with a submission."""


class NodeAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Body of `GET nodes/{id}`."""

    node: NodeState


class Alive(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Body of `GET agent/alive`."""

    status: str


class OrchestratorClient(Connection):
    """All that can be asked of one orchestrator. All methods raise ClientError."""

    # Jobs

    async def submit(self, job: Job, *, force: bool = False) -> PutJobResponse:
        """Submit a job, or a new version of a job of the same name."""
        return await self._put(JOBS, {"Job": submitted(job), "Force": force}, PutJobResponse)

    async def jobs(
        self,
        *,
        limit: int = 0,
        next_token: str = "",
        labels: str = "",
        order_by: str = "",
        is_reversed: bool = False,
    ) -> JobList:
        """A page of jobs; without `limit` all of them. In every namespace unless the client has one."""
        query: Query = {
            "limit": limit or None,
            "next_token": next_token,
            "labels": labels,
            "order_by": order_by,
            "reverse": is_reversed or None,
        }
        return await self._get(JOBS, JobList, query)

    async def job(self, job: str, *, version: int = 0, include: str = "") -> GetJobResponse:
        """One job; `include` is `history`, `executions`, or both with a comma."""
        return await self._get(_job(job), GetJobResponse, {"job_version": version or None, "include": include})

    async def stop(self, job: str, reason: str, *, if_cursor: str = "") -> StopJobResponse:
        """Stop a job. `if_cursor` is of a dry run of stopping all its partitions, and holds as for a retry."""
        body = {"reason": reason, "IdempotencyToken": uuid.uuid4().hex} | ({"IfCursor": if_cursor} if if_cursor else {})
        return await self._call("DELETE", _job(job), StopJobResponse, body=body)

    async def executions(
        self,
        job: str,
        *,
        version: int = 0,
        all_versions: bool = False,
        order_by: str = "",
        is_reversed: bool = False,
        limit: int = 0,
    ) -> ExecutionList:
        """Executions of the latest version of a job, of one version, or of all."""
        query: Query = {
            "job_version": version or None,
            "all_job_versions": all_versions or None,
            "order_by": order_by,
            "reverse": is_reversed or None,
            "limit": limit or None,
        }
        return await self._get(f"{_job(job)}/executions", ExecutionList, query)

    async def history(
        self,
        job: str,
        *,
        version: int = 0,
        all_versions: bool = False,
        event_type: str = "all",
        execution_id: str = "",
        limit: int = 0,
        next_token: str = "",
    ) -> HistoryList:
        """A page of a job's history; the token is empty only when the job has ended and all was read."""
        query: Query = {
            "job_version": version or None,
            "all_job_versions": all_versions or None,
            "event_type": event_type,
            "execution_id": execution_id,
            "limit": limit or None,
            "next_token": next_token,
        }
        return await self._get(f"{_job(job)}/history", HistoryList, query)

    async def versions(self, job: str) -> JobList:
        """All versions of a job, ascending."""
        return await self._get(f"{_job(job)}/versions", JobList)

    async def rerun(self, job: str, *, version: int = 0, reason: str = "") -> RerunResponse:
        """Run a version of a job again (0 = the latest), as a new version."""
        return await self._put(f"{_job(job)}/rerun", {"JobVersion": version, "Reason": reason}, RerunResponse)

    async def diff(self, job: Job) -> DiffResponse:
        """What submitting a job would change in the one of its name."""
        return await self._put(f"{JOBS}/diff", {"Job": submitted(job)}, DiffResponse)

    async def results(self, job: str) -> ResultList:
        """Where the published results of a job are."""
        return await self._get(f"{_job(job)}/results", ResultList)

    async def jobs_with_summary(
        self, *, limit: int = 0, next_token: str = "", labels: str = "", is_reversed: bool = False
    ) -> ListedJobs:
        """A page of jobs as of `jobs`, each with its counts and how far it is."""
        query: Query = {
            "include": "summary",
            "limit": limit or None,
            "next_token": next_token,
            "labels": labels,
            "reverse": is_reversed or None,
        }
        return await self._get(JOBS, ListedJobs, query)

    async def plan(self, job: Job) -> Plan:
        """What submitting a job would do: problems, differences, nodes. Nothing is done.

        Where `DryRun` is not known it would be submitted, so that its code is `NotOffered`.
        """
        if not await self.can_plan():
            raise not_offered(JOBS, "tell what submitting a job would do")
        return await self._put(JOBS, {"Job": submitted(job), "DryRun": True}, Plan)

    async def suspend(self, job: str, reason: str = "") -> JobChanged:
        """Place nothing more of a job; what runs goes on."""
        return await self._put(f"{_job(job)}/suspend", {"Reason": reason}, JobChanged)

    async def resume(self, job: str) -> JobChanged:
        """Place a suspended job again."""
        return await self._put(f"{_job(job)}/resume", {}, JobChanged)

    # Partitions

    async def grid(self, job: str, *, fields: str = "") -> Grid:
        """All partitions of a job, packed; `fields` of `Started,Finished,Failure` are added, where the server has partitions."""
        try:
            return await self._get(f"{_job(job)}/partitions", Grid, {"fields": fields})
        except ClientError as error:
            return client_fold.grid(*await self._folded(job, error))

    async def _folded(self, job: str, error: ClientError) -> tuple[Job, Sequence[Execution]]:
        """A job and its executions, where a server has no partitions (a Bacalhau); else the error is raised."""
        if not error.is_missing_route:
            raise error
        self.has_partitions = False
        answer = await self.job(job, include="executions")
        return answer.job, answer.executions.items if answer.executions else ()

    async def rows(self, job: str, select: str, *, limit: int = 0, next_token: str = "") -> Rows:
        """A page of the partitions that a selection takes."""
        query: Query = {"select": select, "limit": limit or None, "next_token": next_token}
        try:
            return await self._get(f"{_job(job)}/partitions", Rows, query)
        except ClientError as error:
            known, executions = await self._folded(job, error)
            with bad_request():
                return client_fold.rows(known, executions, select)

    async def partition(self, job: str, index: int) -> PartitionDetail:
        """One partition with all its attempts."""
        try:
            return await self._get(f"{_job(job)}/partitions/{index}", PartitionDetail)
        except ClientError as error:
            detail = client_fold.detail(*await self._folded(job, error), index)
            if detail is None:
                message = f"partition not found: {index} of job {job}"
                raise ClientError(message, status=404, code="NotFound", component="JobStore") from error
            return detail

    async def failures(self, job: str) -> Failures:
        """Failed partitions, grouped by cause, exit code and message."""
        try:
            return await self._get(f"{_job(job)}/failures", Failures)
        except ClientError as error:
            return client_reasons.failures(*await self._folded(job, error))

    async def explain(self, job: str, select: str = "") -> Explanations:
        """Why partitions wait."""
        try:
            return await self._get(f"{_job(job)}/explain", Explanations, {"select": select})
        except ClientError as error:
            known, executions = await self._folded(job, error)
            history = await self.history(known.id, event_type="job", limit=MOST_EVENTS)
            with bad_request():
                return client_reasons.explanations(known, executions, history.items, select)

    async def retry_partitions(  # noqa: PLR0913 - as many as the request has fields
        self,
        job: str,
        select: str,
        *,
        include_completed: bool = False,
        resources: ResourcesConfig | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - of the executions, not of this call
        avoid_nodes: Sequence[str] = (),
        add_attempts: int | None = None,
        dry_run: bool = False,
        if_cursor: str = "",
    ) -> ActionResult:
        """Queue the failed and stopped partitions of a selection again, with what is given in place of the job's own.

        With the cursor of a dry run it is refused (409, code `CountChanged`) where the count has changed since.
        """
        body: dict[str, Any] = {"Select": select, "IncludeCompleted": include_completed, "DryRun": dry_run}
        more = {
            "Resources": resources,
            "Timeout": timeout,
            "AvoidNodes": list(avoid_nodes),
            "AddAttempts": add_attempts,
            "IfCursor": if_cursor,
        }
        body |= {key: value for key, value in more.items() if value}
        return await self._put(f"{_job(job)}/partitions/retry", body, ActionResult)

    async def stop_partitions(
        self, job: str, select: str, reason: str, *, dry_run: bool = False, if_cursor: str = ""
    ) -> ActionResult:
        """Stop the unfinished partitions of a selection. `if_cursor` as of a retry."""
        body = {"Select": select, "Reason": reason, "DryRun": dry_run} | ({"IfCursor": if_cursor} if if_cursor else {})
        return await self._put(f"{_job(job)}/partitions/stop", body, ActionResult)

    async def inputs(self, job: str, index: int) -> PartitionInputs:
        """Which files each attempt of a partition had as inputs."""
        return await self._get(f"{_job(job)}/partitions/{index}/inputs", PartitionInputs)

    async def search_logs(self, job: str, text: str, *, select: str = "", limit: int = 0, first: int = 0) -> LogMatches:
        """Lines with a text in the last attempts' logs, for a few seconds at most; `first` is where to go on."""
        query: Query = {"q": text, "select": select, "limit": limit or None, "from": first or None}
        return await self._get(f"{_job(job)}/logs/search", LogMatches, query)

    async def log_range(
        self, job: str, index: int, attempt: int, stream: str, *, offset: int = 0, limit: int = 0, fresh: bool = False
    ) -> LogRange:
        """A piece of one attempt's log; a negative offset counts from the end. `fresh`: as it is written, see `docs/api.md`."""
        query: Query = {"stream": stream, "offset": offset, "limit": limit or None, "fresh": fresh or None}
        return await self._get(f"{_job(job)}/partitions/{index}/attempts/{attempt}/log", LogRange, query)

    # Nodes and the orchestrator itself

    async def nodes(
        self,
        *,
        labels: str = "",
        approval: str = "",
        status: str = "",
        order_by: str = "",
        is_reversed: bool = False,
        limit: int = 0,
    ) -> NodeList:
        """The nodes of the cluster."""
        query: Query = {
            "labels": labels,
            "filter-approval": approval,
            "filter-status": status,
            "order_by": order_by,
            "reverse": is_reversed or None,
            "limit": limit or None,
        }
        return await self._get(NODES, NodeList, query)

    async def node(self, node: str) -> NodeState:
        """One node, by id or by what only its id begins with."""
        return (await self._get(f"{NODES}/{quote(node, safe='')}", NodeAnswer)).node

    async def change_node(
        self, node: str, action: str, *, reason: str = "", deadline: float | None = None
    ) -> NodeChanged:
        """`drain` a node (with a deadline in seconds what still runs then is moved), `undrain`, `approve`, `reject`, `delete`."""
        body: Mapping[str, Any] = {"Action": action, "Reason": reason, "Deadline": deadline}
        path = f"{NODES}/{quote(node, safe='')}"
        try:
            return await self._put(path, body, NodeChanged)
        except ClientError as error:
            if error.status == httpx.codes.INTERNAL_SERVER_ERROR and action in ("drain", "undrain"):
                raise not_offered(
                    path, f"{action} nodes"
                ) from error  # what a Bacalhau says of an action that it has not
            raise

    async def events(self, *, after: str = "", limit: int = 0, wait: float = 0.0) -> ClusterEvents:
        """What happened in the cluster after a cursor, oldest first; without one the newest. `wait` = seconds to be held."""
        query: Query = {"after": after, "limit": limit or None, "wait": wait or None}
        return await self._get(EVENTS, ClusterEvents, query)

    async def me(self) -> Me:
        """Who asks, as the orchestrator sees it."""
        return await self._get("/api/v1/auth/me", Me)

    async def alive(self) -> Alive:
        """Whether the orchestrator answers."""
        return await self._get("/api/v1/agent/alive", Alive)

    async def version(self) -> BuildVersion:
        """Which build the orchestrator is."""
        return await self._get("/api/v1/agent/version", BuildVersion)

    async def agent_config(self) -> dict[str, Any]:
        """The orchestrator's configuration, by Bacalhau's names."""
        config: dict[str, Any] = (await self._get("/api/v1/agent/config", dict[str, Any]))["config"]
        return config

    async def sign_in(self) -> dict[str, Any]:
        """Where people sign in, if anywhere: the `Config` of `agent/authconfig`."""
        answer: dict[str, Any] = await self._get("/api/v1/agent/authconfig", dict[str, Any])
        return dict(answer.get("Config") or {})

    async def agent_node(self) -> NodeInfo:
        """The orchestrator as a node."""
        return await self._get("/api/v1/agent/node", NodeInfo)


@contextmanager
def bad_request() -> Iterator[None]:
    """What makes no sense to us is told as a server tells it."""
    try:
        yield
    except ValueError as wrong:
        raise ClientError(str(wrong), status=400, code="BadRequest") from wrong


def submitted(job: Job) -> dict[str, Any]:
    """A job as a submission sends it."""
    spec: dict[str, Any] = msgspec.to_builtins(job)
    return {key: value for key, value in spec.items() if key not in NOT_SUBMITTED}


def _job(job: str) -> str:
    return f"{JOBS}/{quote(job, safe='')}"

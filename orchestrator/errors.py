"""What can go wrong for a caller of the orchestrator, each with its Code and HTTP status on the wire."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from orchestrator.contract.api import Problem

NO_DETAILS: Mapping[str, str] = MappingProxyType({})


class OrchestratorError(Exception):
    """Base of all. `component` says where it comes from: clients tell an unknown job from an unknown route by it."""

    status = 500
    code = "InternalError"
    component = "Bacalhau"

    def __init__(self, message: str, *, hint: str = "", details: Mapping[str, str] = NO_DETAILS) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details


class InvalidJobError(OrchestratorError):
    """A job was refused; nothing was stored. `problems` names each thing that is wrong."""

    status = 400
    code = "BadRequest"
    component = "APIServer"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class InvalidRequestError(OrchestratorError):
    """A request makes no sense: its body, a parameter, a token, a selection."""

    status = 400
    code = "BadRequest"
    component = "APIServer"

    def __init__(self, message: str, *, problems: Sequence[Problem] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.problems = tuple(problems)


class JobNotFoundError(OrchestratorError):
    """There is no such job."""

    status = 404
    code = "NotFound"
    component = "JobStore"

    def __init__(self, wanted: str) -> None:
        super().__init__(f"job not found: {wanted}", hint="list jobs with: shoal job list")


class JobVersionNotFoundError(OrchestratorError):
    """The job has no such version."""

    status = 404
    code = "NotFound"
    component = "JobStore"

    def __init__(self, job: str, version: int) -> None:
        super().__init__(f"job version {version} not found for job {job}")


class AmbiguousJobError(OrchestratorError):
    """More than one job begins so."""

    status = 409
    code = "MultipleJobsFound"
    component = "JobStore"

    def __init__(self, wanted: str) -> None:
        super().__init__(f"multiple jobs found for id {wanted}", hint="Use full job ID")


class PartitionNotFoundError(OrchestratorError):
    """The job has no such partition."""

    status = 404
    code = "NotFound"
    component = "JobStore"

    def __init__(self, job: str, index: int, count: int) -> None:
        super().__init__(f"partition not found: {index} of job {job}, which has {count} partitions (0 to {count - 1})")


class AttemptNotFoundError(OrchestratorError):
    """The partition has no such attempt."""

    status = 404
    code = "NotFound"
    component = "JobStore"

    def __init__(self, job: str, index: int, attempt: int) -> None:
        super().__init__(f"attempt not found: {attempt} of partition {index} of job {job}")


class ExecutionNotFoundError(OrchestratorError):
    """There is no such execution."""

    status = 404
    code = "NotFound"
    component = "JobStore"

    def __init__(self, wanted: str) -> None:
        super().__init__(f"execution not found: {wanted}")


class NodeNotFoundError(OrchestratorError):
    """There is no such node."""

    status = 404
    code = "NotFound"
    component = "NodesManager"

    def __init__(self, wanted: str) -> None:
        super().__init__(f"node not found: {wanted}", hint="list nodes with: shoal node list")


class AmbiguousNodeError(OrchestratorError):
    """More than one node begins so, and none is called so."""

    status = 409
    code = "MultipleNodesFound"
    component = "NodesManager"

    def __init__(self, wanted: str, found: Sequence[str]) -> None:
        super().__init__(
            f"multiple nodes found for prefix: {wanted}, matching IDs: [{' '.join(found)}]",
            hint="Use a more specific node ID prefix",
        )


class NoChangesError(OrchestratorError):
    """A known job was submitted again, the same as it is."""

    status = 409
    code = "ResourceInUse"

    def __init__(self, name: str, job: str) -> None:
        super().__init__(
            f"no changes detected for new job spec. Job Name: '{name}', Job Id: '{job}'",
            hint="Use the --force flag to override this warning",
        )


class CannotStopError(OrchestratorError):
    """The job has ended otherwise already."""

    status = 409
    code = "ConflictJobState"
    component = "JobStore"

    def __init__(self, job: str, state: str) -> None:
        if state == "Completed":
            super().__init__(f"cannot stop job in state {state}")
        else:
            super().__init__(f"job {job} is in terminal state {state} and cannot transition to Stopped")


class TypeChangedError(OrchestratorError):
    """A known job was submitted as another type; a job keeps the type that it began with."""

    status = 409
    code = "ResourceInUse"

    def __init__(self, name: str, old: str, new: str) -> None:
        super().__init__(
            f"job {name} is a {old} job and cannot become a {new} job",
            hint="give the new job another name, or none",
        )


class JobExistsError(OrchestratorError):
    """A new job names an id that another one has."""

    status = 409
    code = "ResourceInUse"
    component = "JobStore"

    def __init__(self, job: str) -> None:
        super().__init__(f"job already exists: {job}")


class CannotRerunError(OrchestratorError):
    """The job has not begun yet, so that there is nothing to run again."""

    status = 409
    code = "ConflictJobState"

    def __init__(self, state: str) -> None:
        hint = "try to use the job run command instead of the job rerun command"
        super().__init__(f"cannot rerun job in state {state}", hint=hint)


class JobEndedError(OrchestratorError):
    """The job has ended, so that it can be neither suspended nor resumed."""

    status = 409
    code = "ConflictJobState"
    component = "JobStore"

    def __init__(self, job: str, state: str, hint: str) -> None:
        super().__init__(f"job {job} has ended: it is {state}", hint=hint)


class NodeStateConflictError(OrchestratorError):
    """The node is what it should become already."""

    status = 409
    code = "ConflictNodeState"
    component = "NodesManager"

    def __init__(self, node: str, state: str) -> None:
        super().__init__(f"node {node} already {state}")


class SessionConflictError(OrchestratorError):
    """An agent's session is not, or no longer, the one that holds this node."""

    status = 409
    code = "ConflictNodeState"
    component = "NodesManager"

    def __init__(self, node: str, holder: str, *, seconds: float | None = None) -> None:
        message = f"node {node} is held by session {holder}"
        if seconds is None:
            super().__init__(f"{message}: this one was superseded")
        else:
            hint = "two agents have the same name, or this one lost its data directory"
            super().__init__(f"{message}, whose lease holds for {seconds:.0f} s more", hint=hint)


class WrongClusterError(OrchestratorError):
    """An agent belongs to another cluster."""

    status = 409
    code = "WrongCluster"
    component = "NodesManager"

    def __init__(self, theirs: str, ours: str) -> None:
        super().__init__(
            f"the node's journal is of cluster {theirs}; this is cluster {ours}",
            hint="give the node another data directory, or point it at its own orchestrator",
            details={"ClusterID": ours},
        )


class NodeRefusedError(OrchestratorError):
    """The node was rejected or deleted; it has to stop its work."""

    status = 403
    code = "Forbidden"
    component = "NodesManager"

    def __init__(self, node: str, *, is_known: bool) -> None:
        reason = "was rejected" if is_known else "is not known here: it was deleted, or it never joined"
        super().__init__(f"node {node} {reason}")


class CountChangedError(OrchestratorError):
    """An action would take another number of partitions than its dry run said. Nothing was done."""

    status = 409
    code = "CountChanged"
    component = "JobStore"

    def __init__(self, count: int, expected: int | None) -> None:
        super().__init__(
            f"it would take {count} partitions now, not {expected} as before",
            hint="look again, then repeat it",
            details={"Count": str(count)},
        )


class StaleCursorError(OrchestratorError):
    """A watch cannot go on from this cursor: take a new snapshot."""

    status = 410
    code = "StaleCursor"
    component = "APIServer"

    def __init__(self) -> None:
        super().__init__("the cursor is of another process, too old or ahead", hint="read the partitions again")


class StoreError(OrchestratorError):
    """The store cannot be opened, or a commit failed. The process ends: its memory may be ahead of the disk."""

    code = "DatastoreFailure"
    component = "JobStore"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class StorageError(OrchestratorError):
    """A log or a result cannot be kept or read just now. What was acknowledged is still there; the caller may repeat."""

    status = 503
    code = "DatastoreFailure"
    component = "LogStore"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


@contextlib.contextmanager
def storage_errors(place: object) -> Iterator[None]:
    """What the disk refuses below `place` comes out as StorageError."""
    try:
        yield
    except OSError as error:
        raise StorageError(str(error.filename or place), error.strerror or str(error)) from error


class ResultRefusedError(OrchestratorError):
    """An archive of results is too large, damaged, or would unpack outside its own directory. Sending it again is no use."""

    status = 409
    code = "ResultRefused"
    component = "ResultStore"

"""Records for tests of what keeps them: every field that a test does not name has a plain value."""

from typing import Any

from orchestrator.contract.agent import LogTail, Stream
from orchestrator.contract.execution import ExecutionState
from orchestrator.contract.history import Level
from orchestrator.contract.ids import ExecutionId, JobId, NodeId, Timestamp
from orchestrator.contract.job import (
    Job,
    JobState,
    JobStateType,
    JobType,
    NetworkConfig,
    ResourcesConfig,
    SpecConfig,
    Task,
    TimeoutConfig,
)
from orchestrator.contract.node import BuildVersion, ComputeNodeInfo, Connection, Membership, NodeInfo, Resources
from orchestrator.contract.partitions import PartitionState
from orchestrator.core.model import ExecutionRecord, Happening, JobRecord, NodeRecord, PartitionRecord, TailRecord

NOW = Timestamp(1_700_000_000_000_000_000)


def uuid_like(number: int) -> str:
    """The form of a UUID, told apart by `number`."""
    return f"00000000-0000-4000-8000-{number:012d}"


def job_id(number: int) -> JobId:
    """A full id of a job."""
    return JobId(f"j-{uuid_like(number)}")


def execution_id(number: int) -> ExecutionId:
    """A full id of an execution."""
    return ExecutionId(f"e-{uuid_like(number)}")


def job_record(number: int = 1, version: int = 1, state: str = "Running", **fields: Any) -> JobRecord:
    """A job of ten partitions that runs."""
    task = Task(
        name="main",
        engine=SpecConfig(type="process", params={"Command": "true", "Limits": [1, 2.5, None]}),
        publisher=SpecConfig(type=""),
        resources=ResourcesConfig(cpu="1"),
        network=NetworkConfig(type="None"),
        timeouts=TimeoutConfig(),
    )
    plain: dict[str, Any] = {
        "id": job_id(number), "name": f"job-{number}", "namespace": "default", "type": JobType.BATCH, "priority": 0,
        "count": 10, "constraints": (), "meta": {}, "labels": {}, "tasks": (task,), "version": version, "revision": 1,
        "state": JobState(state_type=JobStateType(state)), "create_time": NOW + number, "modify_time": NOW + number,
    }  # fmt: skip
    return JobRecord(job=Job(**(plain | fields)), began=NOW)


def partition_record(index: int = 0, number: int = 1, version: int = 1, **fields: Any) -> PartitionRecord:
    """A partition that runs its first attempt."""
    plain: dict[str, Any] = {"state": PartitionState.RUNNING, "attempts": 1, "last_node": NodeId("n1")}
    return PartitionRecord(job_id=job_id(number), job_version=version, index=index, **(plain | fields))


def execution_record(number: int = 1, index: int = 0, job: int = 1, **fields: Any) -> ExecutionRecord:
    """An execution that runs; its number tells it apart and is its time."""
    plain: dict[str, Any] = {
        "id": execution_id(number), "job_id": job_id(job), "job_version": 1, "namespace": "default", "index": index,
        "attempt": 1, "node_id": NodeId("n1"), "evaluation_id": "ev", "session": "s1",
        "state": ExecutionState.RUNNING, "created": NOW + number, "modified": NOW + number,
    }  # fmt: skip
    return ExecutionRecord(**(plain | fields))


def happening(seq: int, number: int = 1, **fields: Any) -> Happening:
    """A line of a job's own history."""
    plain: dict[str, Any] = {
        "job_version": 1, "level": Level.JOB, "topic": "Submission", "message": "Job submitted", "time": NOW + seq,
    }  # fmt: skip
    return Happening(job_id=job_id(number), seq=seq, **(plain | fields))


def node_record(name: str = "n1", **fields: Any) -> NodeRecord:
    """A node that is connected."""
    nothing = Resources()
    offer = ComputeNodeInfo(
        execution_engines=("process",), publishers=(), storage_sources=None, max_capacity=Resources(cpu=2.0, memory=10),
        queue_capacity=nothing, available_capacity=nothing, max_job_requirements=nothing, running_executions=0,
        enqueued_executions=0, address="",
    )  # fmt: skip
    build = BuildVersion(git_version="v1", git_commit="", build_date="", goos="linux", goarch="amd64")
    info = NodeInfo(
        node_id=NodeId(name), node_type="Compute", labels={"region": "here"}, supported_protocols=(),
        compute_node_info=offer, bacalhau_version=build,
    )  # fmt: skip
    plain: dict[str, Any] = {
        "membership": Membership.APPROVED, "connection": Connection.CONNECTED, "info": info, "session": "s1",
        "last_sync": NOW,
    }  # fmt: skip
    return NodeRecord(id=NodeId(name), **(plain | fields))


def tail_record(number: int = 1, stream: Stream = Stream.OUT, offset: int = 0, content: bytes = b"") -> TailRecord:
    """The last piece of an execution's log."""
    return TailRecord(execution_id=execution_id(number), tail=LogTail(stream=stream, offset=offset, content=content))

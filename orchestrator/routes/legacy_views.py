"""Records as programs for Bacalhau 1.3 and before see them. Pure."""

from collections.abc import Sequence
from typing import Any

import msgspec

from orchestrator.contract.execution import ExecutionState
from orchestrator.contract.history import Level
from orchestrator.contract.ids import NodeId, Timestamp
from orchestrator.contract.job import InputSource, Job, JobStateType
from orchestrator.contract.legacy_job import ENGINES
from orchestrator.core.model import ExecutionRecord, Happening
from orchestrator.routes.views import rfc3339, run_output_of

Shown = dict[str, Any]

CLIENT = "bacalhau.org/client.id"
"""Metadata of a job: who submitted it, by the SHA-256 of the key that signed it."""
JOB_STATES = {
    JobStateType.UNDEFINED: "New",
    JobStateType.PENDING: "New",
    JobStateType.QUEUED: "Queued",
    JobStateType.RUNNING: "InProgress",
    JobStateType.COMPLETED: "Completed",
    JobStateType.FAILED: "Error",
    JobStateType.STOPPED: "Cancelled",
}
EXECUTION_STATES = {
    ExecutionState.ASSIGNED: "AskForBidAccepted",
    ExecutionState.RUNNING: "BidAccepted",
    ExecutionState.PUBLISHING: "ResultProposed",
    ExecutionState.COMPLETED: "Completed",
    ExecutionState.FAILED: "Failed",
    ExecutionState.CANCELLED: "Cancelled",
}


def job_of(job: Job, requester: NodeId) -> Shown:
    """A job, without its state."""
    metadata = {
        "ID": job.id,
        "ClientID": job.meta.get(CLIENT, ""),
        "CreatedAt": rfc3339(job.create_time),
        "Requester": {"RequesterNodeID": requester},
    }
    return {"APIVersion": "V1beta1", "Metadata": metadata, "Spec": spec_of(job)}


def spec_of(job: Job) -> Shown:
    """What a job asks, engine and publisher in both ways of saying it."""
    task = job.task
    engine = ENGINES.get(task.engine.type, task.engine.type)
    spec: Shown = {
        "Engine": engine,
        "EngineSpec": msgspec.to_builtins(task.engine),
        "Verifier": "Noop",
        "Publisher": task.publisher.type.capitalize() or "Noop",
        "PublisherSpec": msgspec.to_builtins(task.publisher),
        "Resources": msgspec.to_builtins(task.resources),
        "Network": {"Type": task.network.type, "Domains": list(task.network.domains)},
        "Timeout": float(task.timeouts.execution_timeout),
        "inputs": [storage_of(one) for one in task.input_sources],
        "outputs": [{"Name": one.name, "path": one.path} for one in task.result_paths],
        "Annotations": [f"{key}={value}" if value else key for key, value in job.labels.items()],
        "NodeSelectors": [msgspec.to_builtins(one) for one in job.constraints],
        "Deal": {"Concurrency": job.count},
    }
    if engine == "Docker":
        spec["Docker"] = task.engine.params
    return spec


def storage_of(source: InputSource) -> Shown:
    """An input; the data of an inline one is told by its job alone."""
    params = source.source.params
    shown = {"StorageSource": source.source.type, "path": source.target}
    if source.source.type != "inline":
        shown["SourcePath"] = next((value for key, value in params.items() if key.lower() == "sourcepath"), "")
    return shown


def state_of(job: Job) -> Shown:
    """Where a job stands, without its executions."""
    return {
        "JobID": job.id,
        "State": JOB_STATES[job.state.state_type],
        "Version": job.revision,
        "CreateTime": rfc3339(job.create_time),
        "UpdateTime": rfc3339(job.modify_time),
        "Executions": [],
    }


def execution_of(record: ExecutionRecord) -> Shown:
    """Where an execution stands, and how its program ended."""
    output = run_output_of(record)
    return {
        "JobID": record.job_id,
        "NodeId": record.node_id,
        "ComputeReference": record.id,
        "State": EXECUTION_STATES[record.state],
        "Status": record.message,
        "Version": record.revision,
        "CreateTime": rfc3339(record.created),
        "UpdateTime": rfc3339(record.modified),
        "RunOutput": {
            "stdout": output.stdout,
            "stdouttruncated": output.stdout_truncated,
            "stderr": output.stderr,
            "stderrtruncated": output.stderr_truncated,
            "exitCode": output.exit_code,
            "runnerError": output.error_msg,
        },
    }


def events_of(job: Job, lines: Sequence[Happening], since: Timestamp) -> list[Shown]:
    """The history of a job, from a time on. Its end is always told by a line with the new state: programs wait for that."""
    events: list[Shown] = []
    before = JOB_STATES[JobStateType.UNDEFINED]
    for line in lines:
        event = event_of(line)
        if line.level is Level.JOB and (not events or "NewState" in line.details):
            now = JOB_STATES[JobStateType(line.details.get("NewState", JobStateType.PENDING))]
            event["JobState"] = {"Previous": before, "New": now}
            before = now
        events.append(event)
    state = JOB_STATES[job.state.state_type]
    if job.state.state_type.is_terminal and before != state and job.modify_time >= since:
        change = {"Previous": before, "New": state}
        events.append(
            {
                "Type": str(Level.JOB),
                "JobID": job.id,
                "JobState": change,
                "NewVersion": job.revision,
                "Comment": job.state.message,
                "Time": rfc3339(job.modify_time),
            }
        )
    return events


def event_of(line: Happening) -> Shown:
    """One line of it."""
    event: Shown = {
        "Type": str(line.level),
        "JobID": line.job_id,
        "NewVersion": line.seq,
        "Comment": line.message,
        "Time": rfc3339(line.time),
    }
    if line.execution_id:
        event |= {"ComputeReference": line.execution_id, "NodeID": line.details.get("NodeID", "")}
    return event


def result_of(record: ExecutionRecord, url: str) -> Shown:
    """Where the results of a partition are, and by what name a later job may have them as its input."""
    name = f"partition-{record.index}"
    data = {"StorageSource": "URLDownload", "Name": name, "CID": f"{record.job_id}.{record.index}", "URL": url}
    return {"NodeID": record.node_id, "Data": data}

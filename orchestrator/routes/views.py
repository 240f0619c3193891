"""Records as clients see them. Pure."""

import itertools
from datetime import UTC, datetime

from msgspec.structs import replace

from orchestrator.contract.api import PagingToken
from orchestrator.contract.execution import (
    NO_OUTPUT,
    Cause,
    ComputeState,
    Desired,
    DesiredState,
    Execution,
    ExecutionState,
    RunOutput,
)
from orchestrator.contract.history import Event, JobHistory
from orchestrator.contract.ids import SECOND, NodeId, Timestamp
from orchestrator.contract.job import SpecConfig
from orchestrator.contract.node import (
    MOST_SHOWN,
    ZERO_TIME,
    Connection,
    ConnectionState,
    Drain,
    Membership,
    NodeInfo,
    NodeState,
    Resources,
    Work,
)
from orchestrator.contract.partitions import NO_NODE, STOPPING, Attempt, Override, PartitionState, Row, state_word
from orchestrator.core.cluster import Cluster, JobEntry, NodeEntry
from orchestrator.core.lifecycle import PARTITION_OF
from orchestrator.core.model import NEVER, ExecutionRecord, Happening
from orchestrator.core.observe import failed_lately

NOTHING_PUBLISHED = SpecConfig(type="")
LOST = (Cause.NODE_LOST, Cause.AGENT)


def rfc3339(moment: Timestamp) -> str:
    """A time as Go prints it: nanoseconds without zeros at their end, UTC; empty = never."""
    if moment == NEVER:
        return ""
    seconds, rest = divmod(moment, SECOND)
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}{fraction}Z"


def execution_of(record: ExecutionRecord) -> Execution:
    """An execution on the wire, without its job."""
    details = {} if record.cause is None else {"Cause": str(record.cause)}
    if record.exit_code is not None:
        details["ExitCode"] = str(record.exit_code)
    return Execution(
        id=record.id,
        namespace=record.namespace,
        eval_id=record.evaluation_id,
        name="",
        node_id=record.node_id,
        job_id=record.job_id,
        job_version=record.job_version,
        allocated_resources={"Tasks": {}},
        desired_state=Desired(state_type=record.desired, message=record.desired_message),
        compute_state=ComputeState(state_type=record.state, message=record.message, details=details),
        published_result=record.published or NOTHING_PUBLISHED,
        run_output=run_output_of(record),
        previous_execution="",
        next_execution="",
        followup_eval_id="",
        partition_index=record.index,
        attempt=record.attempt,
        cause=record.cause,
        revision=record.revision,
        create_time=record.created,
        modify_time=record.modified,
    )


def run_output_of(record: ExecutionRecord) -> RunOutput:
    """What a program wrote; its exit code also where the node could not say more."""
    if record.run_output is not None:
        return record.run_output
    if record.state.is_terminal and record.state is not ExecutionState.COMPLETED:
        return replace(NO_OUTPUT, exit_code=record.exit_code or 0, error_msg=record.message)
    return NO_OUTPUT


def history_of(line: Happening) -> JobHistory:
    """A line of history on the wire."""
    time = rfc3339(line.time)
    return JobHistory(
        seq_num=line.seq,
        type=line.level,
        job_id=line.job_id,
        job_version=line.job_version,
        execution_id=line.execution_id,
        event=Event(message=line.message, topic=line.topic, timestamp=time, details=line.details),
        time=time,
    )


def next_token(limit: int, offset: int, *, sort_by: str = "", is_reversed: bool = False) -> str:
    """Where a listing goes on."""
    return PagingToken(sort_by=sort_by, is_reversed=is_reversed, limit=limit, offset=offset).encode()


def node_of(node: NodeEntry, cluster: Cluster, now: Timestamp) -> NodeState:
    """A node on the wire, with what is free on it now."""
    record = node.record
    is_here = record.connection is Connection.CONNECTED
    waiting = Resources()
    for execution in node.backlog:
        waiting = waiting.plus(node.live.get(execution, Resources()))
    offer = replace(
        record.info.compute_node_info,
        available_capacity=node.free() if is_here else Resources(),
        queue_capacity=waiting if is_here else Resources(),
        running_executions=len(node.live.keys() - node.backlog) if is_here else 0,
        enqueued_executions=len(node.live.keys() & node.backlog) if is_here else 0,
    )
    return NodeState(
        info=replace(record.info, compute_node_info=offer),
        membership=record.membership,
        connection=record.connection,
        connection_state=ConnectionState(
            status=record.connection,
            last_heartbeat=rfc3339(record.last_sync) or ZERO_TIME,
            last_compute_seq_num=node.seq,
            last_orchestrator_seq_num=node.turn,
            connected_since=rfc3339(record.connected_since) or ZERO_TIME,
            disconnected_since=rfc3339(record.disconnected_since) or ZERO_TIME,
            last_error=record.last_error,
        ),
        drain=Drain(
            reason=record.draining.reason,
            since=rfc3339(record.draining.since),
            deadline=rfc3339(record.draining.deadline),
        )
        if record.draining
        else None,
        work=work_of(node, cluster, now),
    )


def work_of(node: NodeEntry, cluster: Cluster, now: Timestamp) -> Work:
    """What a node has to do with partitions."""
    here = bytearray()
    for execution_id in itertools.islice(node.live, MOST_SHOWN):
        execution = cluster.executions[execution_id]
        is_stopping = execution.desired is DesiredState.STOPPED
        here.append(PARTITION_OF[execution.state] | (STOPPING if is_stopping else 0))
    return Work(
        failed=failed_lately(node.record, now).total(),
        partitions=bytes(here + node.ended[::-1])[:MOST_SHOWN],
    )


def self_node(info: NodeInfo, started: Timestamp) -> NodeState:
    """The orchestrator as a node."""
    return NodeState(
        info=info,
        membership=Membership.APPROVED,
        connection=Connection.CONNECTED,
        connection_state=ConnectionState(
            status=Connection.CONNECTED,
            last_heartbeat=rfc3339(started),
            connected_since=rfc3339(started),
            disconnected_since=ZERO_TIME,
        ),
    )


def state_byte(cluster: Cluster, entry: JobEntry, index: int) -> int:
    """The state of a partition, with the bit for *stopping*."""
    live = entry.live.get(index)
    is_stopping = live is not None and cluster.executions[live].desired.name == "STOPPED"
    return entry.states[index] | (STOPPING if is_stopping else 0)


def summary_of(entry: JobEntry, stopping: list[int]) -> dict[str, int]:
    """Partitions by state, zeros left out. One that is stopping counts as that alone."""
    counts = list(entry.counts)
    for index in stopping:
        counts[entry.states[index]] -= 1
    summary = {state.name.capitalize(): counts[state] for state in PartitionState if counts[state]}
    return summary | {"Stopping": len(stopping)} if stopping else summary


def row_of(entry: JobEntry, index: int, state: int, last: ExecutionRecord | None) -> Row:
    """One partition as text. `last` is its last execution."""
    node = entry.nodes[index]
    attempts = entry.attempts[index]
    if last is None or not attempts:
        return Row(index=index, state=state_word(state), attempts=attempts)
    return Row(
        index=index,
        state=state_word(state),
        attempts=attempts,
        node_id=last.node_id or (entry.node_ids[node] if node != NO_NODE else NodeId("")),
        execution_id=last.id,
        started=rfc3339(last.started),
        finished=rfc3339(last.finished),
        exit_code=last.exit_code,
        cause=str(last.cause or ""),
        message=last.message if last.state.is_terminal else "",
    )


def attempt_of(record: ExecutionRecord, *, is_accepted: bool) -> Attempt:
    """One execution of a partition."""
    is_lost = record.state is ExecutionState.FAILED and record.cause in LOST
    return Attempt(
        attempt=record.attempt,
        execution_id=record.id,
        node_id=record.node_id,
        state="lost" if is_lost else record.state.name.lower(),
        created=rfc3339(record.created),
        started=rfc3339(record.started),
        finished=rfc3339(record.finished),
        exit_code=record.exit_code,
        cause=str(record.cause or ""),
        message=record.message if record.state.is_terminal else "",
        is_accepted=is_accepted,
        log_truncated=record.log_truncated,
        override=Override(
            resources=record.override.resources,
            timeout=record.override.timeout,
            avoid_nodes=record.override.avoid,
            max_attempts=record.override.max_attempts,
        )
        if record.override
        else None,
    )

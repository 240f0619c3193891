"""Errors, nodes, events, compose, plan, compare and profiles at three sizes, without colour and in ASCII: as golden files."""

import os
from pathlib import Path

import httpx
import msgspec
import pytest

from orchestrator.contract.api import NodeList
from orchestrator.contract.execution import Cause
from orchestrator.contract.history import Level
from orchestrator.contract.ids import JobId, NodeId
from orchestrator.contract.node import Drain, NodeState, Resources, Work
from orchestrator.contract.overview import ClusterEvent, ClusterEvents
from orchestrator.contract.partitions import (
    ActionResult,
    Explanation,
    Explanations,
    FailureGroup,
    Failures,
    Grid,
    LogMatch,
    LogMatches,
    NodeReason,
    Rows,
)
from orchestrator.contract.partitions import PartitionState as S
from orchestrator.contract.plan import Difference, Plan, PlanKind, PlannedNode
from tests.helpers.fake_api import JOB_ID, JOBS, FakeApi, execution_id, grid_of, node_of, row
from tests.helpers.fake_reading import lines_of_all
from tests.helpers.terminal import Frozen, app_for, shows, with_styles
from tests.snapshot.tui.test_screens import ATTEMPTS, GOLDEN, LOOKS, SIZES, STATES, VARIANTS, cluster
from tui.screens import logs_all

KEYS: dict[str, tuple[tuple[str, ...], str]] = {
    "errors": (("E",), "3 failure groups"),
    "retry-group": (("E", "r"), "avoid"),
    "nodes": (("g", "n"), "14"),
    "node": (("g", "n", "enter"), "engines"),
    "drain": (("g", "n", "D"), "moves at the deadline"),
    "events": (("g", "v"), "FOLLOW"),
    "compose": (("c",), "partitions"),
    "compose-yaml": (("c", "f2"), "Name: hello"),
    "plan": (("c", "f4"), "UPDATES"),
    "compare": (("enter", "l", "d"), "difference"),
    "profiles": (("g", "p"), "local"),
    "why": (("enter", "W"), "needs 16"),
    "stop": (("enter", "x"), "The rest of the job goes on"),
    "logs": (("enter", "L"), "every log has ended"),
    "find": (("colon", *"find", "space", *"part-0434", "enter"), "logs searched"),
    "templates": (("c", "f3"), "Begin with"),
    "go": (("g",), "profiles"),
    "palette": (("ctrl+p", *"fi"), "Job fish"),
}


def rich_cluster() -> FakeApi:
    """The job of the other screens, with what the tools ask for."""
    api = cluster()
    groups = []
    for number, (cause, code, message, count, where) in enumerate(
        (
            (Cause.EXIT, 1, "ValueError: bad date 'N-N-N' at row N", 212, "400-611"),
            (Cause.OOM, 137, "out of memory", 12, "3,17,40-44,90,123,500-502"),
            (Cause.TIMEOUT, None, "took longer than 600 s", 2, "291,528"),
        )
    ):
        sample = row(int(where.split(",")[0].split("-")[0]), "failed", cause=cause, exit_code=code, message=message)
        group = FailureGroup(
            group=f"g{number}",
            cause=cause,
            exit_code=code,
            message=message,
            count=count,
            partitions=where,
            sample=sample,
        )
        groups.append(group)
    api.on("GET", f"{JOBS}/[^/]+/failures", Failures(next_token="", items=tuple(groups)))
    nodes = tuple(busy(labelled(node_of(name)), failed) for name, failed in (("n-01", 0), ("n-02", 0), ("n-07", 14)))
    nodes = (*nodes[:2], drained(nodes[2]))
    api.on("GET", "/api/v1/orchestrator/nodes", NodeList(next_token="", nodes=nodes))
    api.on("GET", "/api/v1/orchestrator/nodes/.+", {"Node": msgspec.to_builtins(nodes[0])})
    rows = Rows(next_token="", items=tuple(row(index, "running") for index in (434, 437, 440)))

    def partitions(request: httpx.Request) -> Rows | Grid:
        return rows if "select" in request.url.params else grid_of(STATES, attempts=ATTEMPTS)

    api.on("GET", f"{JOBS}/[^/]+/partitions", partitions)
    events = tuple(
        ClusterEvent(
            time=f"2026-10-14T16:26:{second:02d}Z",
            type=Level.EXECUTION,
            topic=topic,
            message=message,
            job_id=JobId(JOB_ID),
            job_name="fish",
            partition=412,
            node_id=NodeId("n-07"),
            details={"IsError": "true"} if "oom" in message else {},
        )
        for second, topic, message in (
            (1, "Scheduling", "Requested execution on n-07"),
            (4, "Execution", "Running"),
            (40, "Execution", "oom: out of memory, exit 137"),
        )
    )

    def since(request: httpx.Request) -> ClusterEvents:
        return ClusterEvents(cursor="1", items=() if "after" in request.url.params else events)

    api.on("GET", "/api/v1/orchestrator/events", since)
    schema: dict[str, object] = {"components": {"schemas": {"SubmitRequest": {"properties": {"DryRun": {}}}}}}
    api.on("GET", "/schema", schema)
    plan = Plan(
        kind=PlanKind.UPDATE,
        job_id=JobId(JOB_ID),
        old_version=2,
        new_version=3,
        stopping=312,
        differences=(Difference(path="Tasks[0].Resources.Memory", old="512mb", new="1gb"),),
        partitions=800,
        nodes=(
            PlannedNode(node_id=NodeId("n-01"), matches=True, slots=6),
            PlannedNode(node_id=NodeId("n-02"), matches=True, slots=6, reason="its slots are taken"),
            PlannedNode(node_id=NodeId("n-07"), matches=False, reason="memory: 2.0 GB, needs 4.0 GB"),
        ),
    )
    api.on("PUT", JOBS, plan)
    reasons = (
        NodeReason(node_id=NodeId("n-01"), reason="CPU: 1.5 free, needs 2"),
        NodeReason(node_id=NodeId("n-02"), reason="memory: 3.1 GB free, needs 16 GB"),
        NodeReason(node_id=NodeId("n-07"), reason="is being drained"),
    )
    why = Explanation(reason="no node has room: needs 16 GB of memory", count=276, partitions="524-799", nodes=reasons)
    api.on("GET", f"{JOBS}/[^/]+/explain", Explanations(next_token="", items=(why,)))
    taken = ActionResult(count=1, by_state={"running": 1}, cursor="c0")
    api.on("PUT", f"{JOBS}/[^/]+/partitions/stop", taken)
    failed = ActionResult(count=212, by_state={"failed": 212}, cursor="c0")
    api.on("PUT", f"{JOBS}/[^/]+/partitions/retry", failed)
    line = LogMatch(
        partition=434,
        attempt=1,
        execution_id=execution_id(434),
        stream="stdout",
        line=2,
        offset=20,
        text="WARN retrying the upload of part-0434",
    )
    api.on("GET", f"{JOBS}/[^/]+/logs/search", LogMatches(items=(line,), searched=430, selected=800, cut="time"))
    return api


def labelled(node: NodeState) -> NodeState:
    """The node with labels as one would have them."""
    info = msgspec.structs.replace(node.info, labels={"os": "linux", "zone": "eu-1"})
    return msgspec.structs.replace(node, info=info)


def drained(node: NodeState) -> NodeState:
    """The node as it is drained, with ten minutes left."""
    return msgspec.structs.replace(
        node, drain=Drain(reason="bad disk", since="2026-10-14T17:41:40Z", deadline="2026-10-14T17:56:40Z")
    )


def busy(node: NodeState, failed: int) -> NodeState:
    """The node with six executions on it, and what became of those before."""
    compute = node.info.compute_node_info
    left = Resources(cpu=0.5, memory=compute.max_capacity.memory // 4, disk=compute.max_capacity.disk)
    offer = msgspec.structs.replace(compute, available_capacity=left, running_executions=6)
    ends = [S.FAILED, S.RETRYING, S.COMPLETED] * (1 if failed else 0) + [S.COMPLETED] * 5
    work = Work(failed=failed, partitions=bytes([S.RUNNING] * 4 + [S.PUBLISHING, S.ASSIGNED] + ends))
    return msgspec.structs.replace(node, info=msgspec.structs.replace(node.info, compute_node_info=offer), work=work)


@pytest.mark.parametrize(("size", "look"), VARIANTS)
@pytest.mark.parametrize("name", KEYS)
async def test_screen_is_as_agreed(
    name: str, size: str, look: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for variable, value in LOOKS[look].items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr(logs_all, "logs", lines_of_all)
    keys, sign = KEYS[name]
    app = app_for(rich_cluster(), kind=Frozen, is_ascii=look == "ascii", home=tmp_path)
    async with app.run_test(size=SIZES[size]) as pilot:
        await shows(pilot, "fish")
        for key in keys:
            await pilot.press(key)
            await pilot.pause(0.3)
        await shows(pilot, sign)
        await pilot.pause(0.6)
        found = with_styles(app)
    if look == "ascii":
        assert found.isascii()
    golden = GOLDEN / f"{name}-{size}-{look}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(found)
    assert found == golden.read_text()

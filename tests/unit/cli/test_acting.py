"""What verbs that change something ask of the orchestrator."""

import httpx
import pytest
from msgspec.structs import replace

from orchestrator.contract.api import HistoryList, JobList, NodeList, Problem
from orchestrator.contract.history import Event, JobHistory, Level
from orchestrator.contract.job import JobStateType
from orchestrator.contract.node import Drain
from orchestrator.contract.overview import ClusterEvents
from orchestrator.contract.partitions import ActionResult, Grid, Rows
from orchestrator.contract.plan import Plan, PlanKind
from tests.helpers.cli import Shoal
from tests.helpers.fake_api import JOB_ID, JOBS, FakeApi, grid_of, happened, job_of, node_of

EVENTS = "/api/v1/orchestrator/events"


def test_a_retry_asks_for_what_shall_be_different_in_both_requests(api: FakeApi, shoal: Shoal) -> None:
    flags = "--memory 4GB --cpu 2 --timeout 1h --avoid-node n1 --avoid-node n2 --add-attempts 2"
    assert shoal("job", "retry", "fish", "--failed", *flags.split()).code == 0
    first, second = api.sent("PUT")
    assert (first["DryRun"], second["DryRun"]) == (True, False)
    for body in (first, second):
        assert body["Resources"] == {"CPU": "2", "Memory": "4GB"}
        assert (body["Timeout"], body["AvoidNodes"], body["AddAttempts"]) == (3600, ["n1", "n2"], 2)


def test_a_plain_retry_asks_for_nothing_different(api: FakeApi, shoal: Shoal) -> None:
    assert shoal("job", "retry", "fish", "--failed").code == 0
    assert not {"Resources", "Timeout", "AvoidNodes", "AddAttempts", "IfCursor"} & api.sent("PUT")[1].keys()


@pytest.mark.parametrize("flags", ["--add-attempts 0", "--timeout soon", "--timeout -1"])
def test_what_cannot_be_different_is_exit_2(api: FakeApi, shoal: Shoal, flags: str) -> None:
    assert shoal("job", "retry", "fish", "--failed", *flags.split()).code == 2
    assert api.requests == []


def test_a_drain_is_sent_with_its_deadline_in_seconds(api: FakeApi, shoal: Shoal) -> None:
    assert shoal("node", "drain", "n1", "--deadline", "10m", "--reason", "disk").code == 0
    assert shoal("node", "drain", "n1").code == 0
    assert shoal("node", "undrain", "n1").code == 0
    found = [(body["Action"], body["Deadline"], body["Reason"]) for body in api.sent("PUT")]
    assert found == [("drain", 600, "disk"), ("drain", None, ""), ("undrain", None, "")]


def test_a_plan_with_problems_is_exit_2_and_names_them(api: FakeApi, shoal: Shoal) -> None:
    problem = Problem(path="Constraints[0].Key", found="''", allowed="the key of a label")
    api.on("PUT", JOBS, Plan(kind=PlanKind.INVALID, problems=(problem,)))
    with open("job.yaml", "w") as file:  # noqa: PTH123 - in the directory of the test
        file.write("Name: x\nType: batch\nTasks: [{Name: main, Engine: {Type: process, Params: {Command: a}}}]\n")
    done = shoal("job", "plan", "job.yaml")
    assert (done.code, "Constraints[0].Key" in done.err, done.out) == (2, True, "")


def test_events_are_followed_from_cursor_to_cursor(api: FakeApi, shoal: Shoal) -> None:
    first, second = happened()
    api.on(
        "GET",
        EVENTS,
        ClusterEvents(cursor="a", items=(first,)),
        ClusterEvents(cursor="a", items=()),
        ClusterEvents(cursor="b", items=(second,)),
        httpx.Response(500, json={"Message": "enough", "Status": 500, "RequestID": "", "Code": "x", "Component": "y"}),
    )
    done = shoal("events", "-f")
    assert (done.code, len(done.out.splitlines())) == (1, 2)
    assert [request.url.params.get("after") for request in api.requests] == [None, "a", "a", "b"]
    assert {request.url.params.get("wait") for request in api.requests[1:]} == {"30.0"}


@pytest.mark.parametrize(
    "words", ["retry fish --select 99", "stop fish --select 99", "retry fish --select 99 --dry-run"]
)
def test_acting_on_a_selection_that_matches_nothing_says_so(api: FakeApi, shoal: Shoal, words: str) -> None:
    def partitions(request: httpx.Request) -> Rows | Grid:
        return Rows(next_token="", items=()) if "select" in request.url.params else grid_of([6] * 12)

    api.on("GET", f"{JOBS}/[^/]+/partitions", partitions)
    api.on("PUT", f"{JOBS}/[^/]+/partitions/(retry|stop)", ActionResult(count=0, by_state={}, cursor="c"))
    done = shoal("job", *words.split())
    assert (done.code, done.out, done.err) == (0, "0 of 12 partitions match '99'\n", "")


@pytest.mark.parametrize(
    ("running", "deadline", "status"),
    [
        (1, "", "DRAINING"),
        (1, "2026-10-14T16:36:40Z", "DRAINING until 2026-10-14T16:36:40Z"),
        (0, "2026-10-14T16:36:40Z", "DRAINED"),
    ],
)
def test_the_list_of_nodes_tells_which_one_is_taken_out_of_use(
    api: FakeApi, shoal: Shoal, running: int, deadline: str, status: str
) -> None:
    node = replace(node_of(), drain=Drain(reason="disk", since="2026-10-14T16:26:40Z", deadline=deadline))
    compute = replace(node.info.compute_node_info, running_executions=running)
    node = replace(node, info=replace(node.info, compute_node_info=compute))
    api.on("GET", "/api/v1/orchestrator/nodes", NodeList(next_token="", nodes=(node, node_of("n2"))))
    done = shoal("node", "list", "--show", "", "--hide-header")
    assert [line.split() for line in done.out.splitlines()] == [
        ["n1", "Compute", "APPROVED", *status.split()],
        ["n2", "Compute", "APPROVED", "CONNECTED"],
    ]


def test_a_version_was_created_when_it_was_submitted_not_when_it_last_changed(api: FakeApi, shoal: Shoal) -> None:
    first = job_of(5, JobStateType.COMPLETED)
    api.on("GET", f"{JOBS}/[^/]+/versions", JobList(next_token="", items=(first, replace(first, version=2))))

    asked = []

    def history(request: httpx.Request) -> HistoryList:
        asked.append(dict(request.url.params))
        lines = [
            JobHistory(
                seq_num=second,
                type=Level.JOB,
                job_id=JOB_ID,
                job_version=number,
                event=Event(message="as it went", topic="Submission", timestamp=f"2026-10-14T16:26:4{second}Z"),
                time="",
            )
            for second, number in ((1, 1), (2, 2), (5, 2))
        ]
        return HistoryList(next_token="", items=tuple(lines))

    api.on("GET", f"{JOBS}/[^/]+/history", history)
    done = shoal("job", "versions", "fish", "--hide-header")
    assert [(one["event_type"], one["all_job_versions"]) for one in asked] == [("job", "true")], "one request for all"
    assert [line.split()[:2] for line in done.out.splitlines()] == [
        ["2026-10-14T16:26:41Z", "1"],
        ["2026-10-14T16:26:42Z", "2"],
    ]


def test_an_event_says_its_reason_once(api: FakeApi, shoal: Shoal) -> None:
    event = happened()[1]
    said = replace(event, message="Partition 3 failed, out of attempts", details={"Reason": "out of attempts"})
    unsaid = replace(event, message="Job suspended", details={"Reason": "new disk"})
    api.on("GET", EVENTS, ClusterEvents(cursor="a", items=(said, unsaid)))
    first, second = shoal("events").out.splitlines()
    assert first.endswith("Partition 3 failed, out of attempts")
    assert second.endswith("Job suspended (Reason=new disk)")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("stop fish --select 3", "Stopping: 0 partitions (none that '3' selects is unfinished)\n"),
        ("retry fish --select 3", "Running again: 0 partitions (none that '3' selects has failed or was stopped)\n"),
        (
            "retry fish --select 3 --include-completed",
            "Running again: 0 partitions (none that '3' selects has ended)\n",
        ),
    ],
)
def test_acting_on_what_is_not_in_a_state_for_it_says_why(api: FakeApi, shoal: Shoal, words: str, said: str) -> None:
    api.on("PUT", f"{JOBS}/[^/]+/partitions/(retry|stop)", ActionResult(count=0, by_state={}, cursor="c"))
    done = shoal("job", *words.split())
    assert (done.code, done.out) == (0, said)

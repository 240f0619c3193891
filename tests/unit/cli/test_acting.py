"""What verbs that change something ask of the orchestrator."""

import httpx
import pytest

from orchestrator.contract.api import Problem
from orchestrator.contract.overview import ClusterEvents
from orchestrator.contract.plan import Plan, PlanKind
from tests.helpers.cli import Shoal
from tests.helpers.fake_api import JOBS, FakeApi, happened

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

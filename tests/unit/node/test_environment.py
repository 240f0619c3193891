"""Variables that need more than a whole agent to be seen."""

import msgspec

from node.environment import Environment
from orchestrator.contract.agent import Assignment
from orchestrator.contract.ids import ExecutionId, JobId, NodeId
from orchestrator.contract.job import NetworkConfig, Port
from tests.helpers.agents import shell

ONE = Assignment(execution_id=ExecutionId("e-1"), job_id=JobId("j-1"), job_version=1, index=0, attempt=1)


def test_ports_are_told_by_their_names() -> None:
    job = shell("true")
    network = NetworkConfig(type="Host", ports=(Port(name="http", static=8080), Port(name="Db", static=1, target=2)))
    job = msgspec.structs.replace(job, tasks=(msgspec.structs.replace(job.task, network=network),))
    environment = Environment(NodeId("n1"), {}, ()).of(job, ONE)
    assert {key: value for key, value in environment.items() if "PORT" in key} == {
        "BACALHAU_HOST_PORT_http": "8080",
        "BACALHAU_PORT_http": "8080",
        "BACALHAU_HOST_PORT_Db": "1",
        "BACALHAU_PORT_Db": "2",
    }


def test_ours_win_over_the_tasks_and_other_prefixes_are_literal() -> None:
    job = shell("true", env={"BACALHAU_JOB_ID": "mine", "A": "file:x", "B": "env:YES"})
    environment = Environment(NodeId("n1"), {"YES": "1"}, ("YES",)).of(job, ONE)
    assert environment["BACALHAU_JOB_ID"] == "j-1"
    assert (environment["A"], environment["B"]) == ("file:x", "1")

"""Where Bacalhau itself stops and we go on: one test a row of that table, where no other test shows it already.

Elsewhere: losses of nodes and of the orchestrator in test_losses, side by side results in test_promises, images in
test_docker, a whole table of refusals in test_bad_input.
"""

import json
import time

import pytest

from tests.conftest import StartCluster
from tests.helpers.jobs import ONCE, QUICK, shell_job
from tests.helpers.processes import JOBS, TERMINAL, Answer, Cluster, wait_until


def test_ten_partitions_on_three_nodes_run_as_many_as_fit(start_cluster: StartCluster) -> None:
    cluster = start_cluster(nodes=3, cpu=0.2)
    job_id = cluster.submit(shell_job("ten", "sleep 1", count=10))
    most = 0
    states = []

    def has_ended() -> bool:
        nonlocal most
        most = max(most, len(cluster.rows(job_id, "running")))
        states.append(cluster.job_state(job_id))
        return states[-1] in TERMINAL

    wait_until(has_ended, 30, "the job has ended")
    assert set(states) <= {"Running", "Completed"}
    rows = cluster.rows(job_id)
    assert {row["State"] for row in rows} == {"completed"}
    assert {row["NodeID"] for row in rows} == set(cluster.nodes)
    assert most == 6, "two fit on each of three nodes"


def test_a_program_that_exits_7_has_failed_and_is_retried(shared: Cluster) -> None:
    job_id = shared.submit(shell_job("seven", "echo the reason >&2; exit 7", Retry=QUICK))
    assert shared.wait_ended(job_id) == "Failed"
    assert [(each["State"], each["Cause"], each["ExitCode"]) for each in shared.attempts(job_id, 0)] == [
        ("failed", "exit", 7),
        ("failed", "exit", 7),
    ]
    assert shared.rows(job_id)[0]["Message"] == "the reason"


def test_one_partition_out_of_memory_fails_alone(shared: Cluster) -> None:
    script = """
        [ "$BACALHAU_PARTITION_INDEX" = 1 ] || { sleep 2; exit 0; }
        head -c 300000000 /dev/zero | tail -c 300000000 >/dev/null
    """
    job_id = shared.submit(shell_job("memory", script, count=3, Retry=QUICK))
    assert shared.wait_ended(job_id, 40) == "Failed"
    rows = shared.rows(job_id)
    assert [row["State"] for row in rows] == ["completed", "failed", "completed"]
    assert (rows[1]["Cause"], rows[1]["Attempts"]) == ("oom", 2)


def test_a_run_of_a_job_that_fails_exits_1(shared: Cluster) -> None:
    done = shared.shoal("process", "run", "--", "sh", "-c", "exit 7")
    assert done.code == 1, done


def test_retry_failed_leaves_the_completed_alone(shared: Cluster) -> None:
    job_id = shared.submit(shell_job("again", '[ "$BACALHAU_PARTITION_INDEX" != 1 ]', count=3, Retry=ONCE))
    assert shared.wait_ended(job_id) == "Failed"
    plan = shared.shoal("job", "retry", job_id, "--failed", "--dry-run", "--json")
    assert plan.code == 0, plan
    assert plan.json["Count"] == 1
    done = shared.shoal("job", "retry", job_id, "--failed", "--wait")
    assert done.code == 1, done
    assert [row["Attempts"] for row in shared.rows(job_id)] == [1, 2, 1]


def test_logs_are_of_all_partitions_tagged_or_of_the_one_asked_for(shared: Cluster) -> None:
    job_id = shared.submit(shell_job("tagged", "echo line of $BACALHAU_PARTITION_INDEX", count=3))
    assert shared.wait_ended(job_id) == "Completed"
    all_of_them = shared.shoal("job", "logs", job_id)
    assert sorted(all_of_them.out.splitlines()) == [f"{index}.1| line of {index}" for index in range(3)]
    assert shared.shoal("job", "logs", job_id, "--select", "2").out == "line of 2\n"


@pytest.mark.parametrize(
    ("change", "path", "found"),
    [
        ({"Engine": {"Type": "dokcer", "Params": {"Image": "x"}}}, "Tasks[0].Engine.Type", "dokcer"),
        ({"Publisher": {"Type": "nowhere"}}, "Tasks[0].Publisher.Type", "nowhere"),
        ({"Engine": {"Type": "docker", "Params": {}}}, "Tasks[0].Engine.Params.Image", ""),
        ({"Enginee": {}}, "Tasks[0].Enginee", "Enginee"),
    ],
    ids=["engine", "publisher", "no-image", "unknown-key"],
)
def test_what_cannot_work_is_refused_at_submission(
    shared: Cluster, change: dict[str, object], path: str, found: str
) -> None:
    job = shell_job("refused", "true")
    job["Tasks"][0].update(change)
    with pytest.raises(Answer) as refused:
        shared.submit(job)
    assert refused.value.status == 400
    problems = [problem for problem in refused.value.body["Problems"] if problem["Path"] == path]
    assert problems, refused.value.body
    assert found in problems[0]["Found"]
    assert problems[0]["Allowed"]
    with pytest.raises(Answer) as absent:
        shared.get(f"{JOBS}/refused")
    assert absent.value.status == 404


def test_an_unknown_operator_in_a_constraint_is_refused(shared: Cluster) -> None:
    job = shell_job("operator", "true", Constraints=[{"Key": "region", "Operator": "~", "Values": ["eu"]}])
    with pytest.raises(Answer) as refused:
        shared.submit(job)
    assert [problem["Path"] for problem in refused.value.body["Problems"]] == ["Constraints[0].Operator"]


def test_a_job_no_node_can_ever_take_says_why_at_once_and_fails_in_its_time(start_cluster: StartCluster) -> None:
    cluster = start_cluster(nodes=1)
    job = shell_job("never", "true", Constraints=[{"Key": "region", "Operator": "=", "Values": ["mars"]}])
    began = time.monotonic()
    job_id = cluster.submit(job)
    wait_until(lambda: "region" in json.dumps(cluster.get(f"{JOBS}/{job_id}/explain")), 2, "its reasons are told")
    assert cluster.job_state(job_id) == "Queued"
    assert cluster.wait_ended(job_id, 40) == "Failed"
    assert 28 < time.monotonic() - began < 36, "30 s, where it names no QueueTimeout"


def test_a_job_waits_for_a_cluster_that_is_still_starting(start_cluster: StartCluster) -> None:
    cluster = start_cluster(nodes=0)
    job_id = cluster.submit(shell_job("early", "true", count=2))
    assert cluster.job_state(job_id) == "Queued"
    cluster.start_node(cluster.node(1))
    assert cluster.wait_ended(job_id) == "Completed"


def test_rerun_or_retry_of_an_unknown_job_is_404_and_harms_nothing(shared: Cluster) -> None:
    with pytest.raises(Answer) as refused:
        shared.put(f"{JOBS}/j-00000000-0000-0000-0000-000000000000/partitions/retry", {"Select": "failed"})
    assert refused.value.status == 404
    assert shared.wait_ended(shared.submit(shell_job("afterwards", "true"))) == "Completed"

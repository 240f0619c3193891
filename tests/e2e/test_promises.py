"""Promises of the product that nothing has to be killed for, each with real processes."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import StartCluster
from tests.helpers.jobs import ONCE, QUICK, shell_job
from tests.helpers.processes import JOBS, Cluster, wait_until


def test_more_partitions_than_nodes_just_works(start_cluster: StartCluster) -> None:
    cluster = start_cluster(nodes=1, cpu=2)
    job = shell_job("thousand", "", count=1000, cpu="50m")
    job["Tasks"][0]["Engine"]["Params"] = {"Command": "true"}
    job_id = cluster.submit(job)
    assert cluster.wait_ended(job_id, 90) == "Completed"
    rows = cluster.rows(job_id)
    assert [row["Index"] for row in rows] == list(range(1000))
    assert {row["State"] for row in rows} == {"completed"}
    before = [attempt for row in rows if row["Attempts"] > 1 for attempt in cluster.attempts(job_id, row["Index"])[:-1]]
    assert {attempt["Cause"] for attempt in before} <= {"agent"}, (
        "sandboxes that other tests' containers got in the way of"
    )


def test_a_bad_partition_harms_no_other(shared: Cluster) -> None:
    script = """
        if [ "$BACALHAU_PARTITION_INDEX" = 7 ]; then echo "part 7 is broken" >&2; exit 3; fi
        echo "$BACALHAU_PARTITION_INDEX" >"$BACALHAU_OUTPUTS/index"
    """
    paths = [{"Name": "out", "Path": "/outputs"}]
    job_id = shared.submit(shell_job("bad-seven", script, count=100, Retry=QUICK, ResultPaths=paths))
    assert shared.wait_ended(job_id, 60) == "Failed"
    rows = shared.rows(job_id)
    assert [(row["Index"], row["Cause"], row["ExitCode"]) for row in rows if row["State"] != "completed"] == [
        (7, "exit", 3)
    ]
    assert shared.rows(job_id, "7")[0]["Attempts"] == 2
    assert all(row["Attempts"] == 1 for row in rows if row["Index"] != 7)

    got = shared.shoal("job", "get", job_id)
    assert got.code == 0, got
    results = shared.home / f"job-{job_id}"
    kept = {int(path.read_text()) for path in results.glob("partition-*/out/index")}
    assert kept == set(range(100)) - {7}


@pytest.mark.parametrize("how", ["cli", "rest"])
def test_retry_runs_only_the_failed_in_the_same_job_and_keeps_what_was(shared: Cluster, how: str) -> None:
    inputs = shared.home / "inputs" / f"retry-{how}"
    inputs.mkdir()
    script = """
        echo "attempt $BACALHAU_ATTEMPT of $BACALHAU_PARTITION_INDEX"
        case "$BACALHAU_PARTITION_INDEX" in 2 | 5) test -e "$BACALHAU_INPUTS/ok" ;; esac
    """
    source = {"Source": {"Type": "local", "Params": {"SourcePath": str(inputs)}}, "Target": "/inputs"}
    job_id = shared.submit(shell_job(f"retry-{how}", script, count=8, Retry=ONCE, InputSources=[source]))
    assert shared.wait_ended(job_id) == "Failed"
    assert [row["Index"] for row in shared.rows(job_id, "failed")] == [2, 5]
    before = {row["Index"]: row["ExecutionID"] for row in shared.rows(job_id)}

    (inputs / "ok").touch()
    if how == "cli":
        again = shared.shoal("job", "retry", job_id, "--failed", "--wait")
        assert again.code == 0, again
    else:
        answer = shared.put(f"{JOBS}/{job_id}/partitions/retry", {"Select": "failed"})
        assert answer["Count"] == 2
        assert answer["ByState"] == {"failed": 2}
    assert shared.wait_ended(job_id) == "Completed"

    after = {row["Index"]: row["ExecutionID"] for row in shared.rows(job_id)}
    assert {index for index in after if after[index] != before[index]} == {2, 5}
    assert [attempt["State"] for attempt in shared.attempts(job_id, 2)] == ["failed", "completed"]
    log = shared.shoal("job", "logs", job_id, "--select", "2", "--attempt", "1")
    assert log.out == "attempt 1 of 2\n"
    log = shared.shoal("job", "logs", job_id, "--select", "2")
    assert log.out == "attempt 2 of 2\n"


def test_first_thing_shown_of_a_failure_is_the_tasks_own_error(shared: Cluster) -> None:
    done = shared.shoal("process", "run", "--", "sh", "-c", "exec ehco hello")
    assert done.code == 1, done
    assert "ehco" in next(line for line in (done.out + done.err).splitlines() if "Failed" in line), done

    done = shared.shoal("process", "run", "--", "ehco", "hello")
    assert done.code == 1, done
    assert "ehco" in next(line for line in (done.out + done.err).splitlines() if "Failed" in line), done


def test_logs_of_a_thousand_partitions_are_followed_at_once(shared: Cluster) -> None:
    script = 'echo "out $BACALHAU_PARTITION_INDEX"; echo "err $BACALHAU_PARTITION_INDEX" >&2'
    job_id = shared.submit(shell_job("chorus", script, count=1000, cpu="50m"))
    done = shared.shoal("job", "logs", job_id, "-f", within=110)
    assert done.code == 0, done
    tagged = re.findall(r"^(\d+)\.(\d+)\| (out|err) (\d+)$", done.out, re.MULTILINE)
    assert len(tagged) == len(set(tagged)), "a line was told twice"
    assert {(index, stream, text) for index, _, stream, text in tagged} == {
        (str(index), stream, str(index)) for index in range(1000) for stream in ("out", "err")
    }


def test_results_of_every_partition_lie_side_by_side(shared: Cluster) -> None:
    script = 'echo "$BACALHAU_PARTITION_INDEX of $BACALHAU_PARTITION_COUNT" >"$BACALHAU_OUTPUTS/out.txt"'
    paths = [{"Name": "result", "Path": "/outputs"}]
    job_id = shared.submit(shell_job("hundred", script, count=100, ResultPaths=paths))
    assert shared.wait_ended(job_id, 60) == "Completed"
    got = shared.shoal("job", "get", job_id)
    assert got.code == 0, got
    results = shared.home / f"job-{job_id}"
    for index in range(100):
        partition = results / f"partition-{index}"
        assert (partition / "result" / "out.txt").read_text() == f"{index} of 100\n"
        assert (partition / "exitCode").read_text() == "0"
    manifest = json.loads((results / "manifest.json").read_text())
    assert manifest["JobID"] == job_id
    assert [entry["Index"] for entry in manifest["Partitions"]] == list(range(100))
    executions = {row["Index"]: row["ExecutionID"] for row in shared.rows(job_id)}
    assert {entry["Index"]: entry["ExecutionID"] for entry in manifest["Partitions"]} == executions
    assert {"Path": "result/out.txt", "Size": len("99 of 100\n")} in manifest["Partitions"][99]["Files"]


@pytest.mark.parametrize(
    ("fields", "needle"),
    [
        ({"Constraints": [{"Key": "region", "Operator": "=", "Values": ["mars"]}]}, "region"),
        ({"Resources": {"CPU": "64"}}, "64"),
        ({"Resources": {"CPU": "100m", "Memory": "900GB"}}, "900"),
        ({"Resources": {"CPU": "100m", "GPU": "1"}}, "GPU"),
    ],
    ids=["constraint", "cpu", "memory", "gpu"],
)
def test_why_something_waits_gets_an_answer(shared: Cluster, fields: dict[str, Any], needle: str) -> None:
    name = f"waits-{'-'.join(fields)}-{needle}"
    job_id = shared.submit(shell_job(name, "true", count=2, Timeouts={"QueueTimeout": 10}, **fields))
    told = wait_until(lambda: shared.get(f"{JOBS}/{job_id}/explain")["Items"], 20, "the reasons are there")
    assert sum(item["Count"] for item in told) == 2
    assert {node["NodeID"] for item in told for node in item["Nodes"]} == set(shared.nodes)
    assert all(needle in node["Reason"] for item in told for node in item["Nodes"]), told
    shown = shared.shoal("job", "explain", job_id)
    assert needle in shown.out, shown

    assert shared.wait_ended(job_id) == "Failed"
    message = shared.get(f"{JOBS}/{job_id}")["Job"]["State"]["Message"]
    assert needle in message


def test_a_stopped_job_keeps_its_logs_and_tells_who_stopped_it(shared: Cluster) -> None:
    job_id = shared.submit(shell_job("stopped", "echo began; sleep 60", count=3))
    wait_until(lambda: len(shared.rows(job_id, "running")) == 3, 15, "three partitions run")
    assert shared.shoal("job", "stop", job_id).code == 0
    assert shared.job_state(job_id) == "Stopped"
    wait_until(lambda: len(shared.rows(job_id, "stopped")) == 3, 15, "nothing is stopping any more")
    assert shared.shoal("job", "wait", job_id).code == 1
    log = shared.shoal("job", "logs", job_id)
    lines = [line for line in log.out.splitlines() if not line.endswith("| Terminated")]  # what sh says of its sleep
    assert sorted(lines) == ["0.1| began", "1.1| began", "2.1| began"]
    attempt = shared.attempts(job_id, 0)[0]
    assert (attempt["State"], attempt["Cause"]) == ("cancelled", "cancelled")


def test_environment_tells_each_partition_who_it_is(shared: Cluster) -> None:
    paths = [{"Name": "out", "Path": "/outputs"}]
    job_id = shared.submit(shell_job("who", "env", count=2, Env={"GREETING": "hello"}, ResultPaths=paths))
    assert shared.wait_ended(job_id) == "Completed"
    row = shared.rows(job_id, "1")[0]
    log = shared.shoal("job", "logs", job_id, "--select", "1").out
    found = dict(re.findall(r"^(BACALHAU_\w+|GREETING)=(.*)$", log, re.MULTILINE))
    outputs = found.pop("BACALHAU_OUTPUTS")
    assert Path(outputs).is_absolute()
    assert found == {
        "BACALHAU_ATTEMPT": "1",
        "BACALHAU_EXECUTION_ID": row["ExecutionID"],
        "BACALHAU_JOB_ID": job_id,
        "BACALHAU_JOB_NAME": "who",
        "BACALHAU_JOB_TYPE": "batch",
        "BACALHAU_NODE_ID": row["NodeID"],
        "BACALHAU_PARTITION_COUNT": "2",
        "BACALHAU_PARTITION_INDEX": "1",
        "GREETING": "hello",
    }

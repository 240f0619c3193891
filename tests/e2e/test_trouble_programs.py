"""Programs that nobody wants on their node: they harm themselves, and nothing is left of them."""

import json
import os
import time
from pathlib import Path

import psutil

from node.streams import KEPT_BYTES
from tests.conftest import StartCluster
from tests.helpers.jobs import ONCE, shell_job
from tests.helpers.mayhem import stdout_of
from tests.helpers.processes import JOBS, Cluster, Process, wait_until

IS_SOAK = bool(os.environ.get("SOAK_KILLS_SECONDS"))
MEGABYTES = 1000 if IS_SOAK else 100
FILES = 100_000 if IS_SOAK else 3_000
PATIENCE = 500 if IS_SOAK else 100


def memory(process: Process | None) -> int:
    """Bytes that a process of ours holds."""
    assert process is not None
    return sum(one.memory_info().rss for one in (psutil.Process(process.popen.pid),))


def test_a_partition_that_prints_and_prints_costs_no_memory_and_its_end_is_kept(start_cluster: StartCluster) -> None:
    cluster = start_cluster(nodes=1, lease=10)
    (agent,) = cluster.nodes.values()
    script = f"head -c {MEGABYTES}000000 /dev/zero | tr '\\0' x; echo; echo the end"
    job_id = cluster.submit(shell_job("prints", script, Retry=ONCE))
    most = [0, 0]

    def has_ended() -> bool:
        most[:] = [max(most[0], memory(agent)), max(most[1], memory(cluster.serve))]
        return cluster.job_state(job_id) not in ("Pending", "Queued", "Running")

    wait_until(has_ended, PATIENCE, "it has ended")
    assert cluster.job_state(job_id) == "Completed"
    assert most[0] < 200 << 20, most
    assert most[1] < 250 << 20, most
    (attempt,) = cluster.attempts(job_id, 0)
    log = f"{JOBS}/{job_id}/partitions/0/attempts/1/log?stream=out"
    assert cluster.get(f"{log}&offset=-8")["Data"] == "dGhlIGVuZAo="
    stored, size = extent(cluster, log)
    assert size == MEGABYTES * 1_000_000 + len("\nthe end\n")
    assert attempt["LogTruncated"] == (stored < size), "what could not be shipped in time is missing, and that is said"
    assert stored >= min(size, KEPT_BYTES)


def extent(cluster: Cluster, log: str) -> tuple[int, int]:
    """How many bytes of a log are stored, and how many were written."""
    stored = position = 0
    while True:
        piece = cluster.get(f"{log}&offset={position}&limit={1 << 20}")
        stored += piece["NextOffset"] - piece["Offset"]
        position = piece["NextOffset"]
        if piece["End"]:
            return stored, piece["Size"]


def test_a_partition_that_writes_many_files_publishes_them_all(start_cluster: StartCluster) -> None:
    cluster = start_cluster(nodes=1, lease=4)
    script = f'cd "$BACALHAU_OUTPUTS" && seq {FILES} | xargs touch'
    paths = [{"Name": "out", "Path": "/outputs"}]
    job_id = cluster.submit(
        shell_job("files", script, Retry=ONCE, ResultPaths=paths, Resources={"CPU": "1", "Memory": "1GB"})
    )
    assert cluster.wait_ended(job_id, PATIENCE) == "Completed", cluster.rows(job_id)
    assert len(cluster.attempts(job_id, 0)) == 1, "the node kept its lease meanwhile"
    got = cluster.shoal("job", "get", job_id, within=PATIENCE)
    assert got.code == 0, got
    assert len(list((cluster.home / f"job-{job_id}" / "partition-0" / "out").iterdir())) == FILES
    executions = cluster.home / cluster.node(1) / "executions"
    wait_until(lambda: not list(executions.iterdir()), 20, "nothing is left on the node")


FORKS = """
    trap '' TERM HUP INT
    seq 1000 | while read number; do sh -c 'trap "" TERM; exec setsid sleep 1000' & done
    echo forked
    sleep 1000
"""


def test_a_partition_that_forks_a_thousand_and_never_ends_is_gone_when_stopped(start_cluster: StartCluster) -> None:
    cluster = start_cluster(nodes=1, lease=10)
    job_id = cluster.submit(shell_job("forks", FORKS, Retry=ONCE, Resources={"CPU": "1", "Memory": "1GB"}))
    wait_until(lambda: cluster.rows(job_id, "running") and stdout_of(cluster, job_id, 0, 1) == "forked\n", 60, "forked")
    wait_until(lambda: len(cluster.programs()) >= 1000, 40, "a thousand run")
    beside = cluster.submit(shell_job("beside", "true", count=3))
    assert cluster.wait_ended(beside, 30) == "Completed"
    assert cluster.shoal("job", "stop", job_id).code == 0
    wait_until(lambda: not cluster.programs(), 30, "not one is left")
    wait_until(lambda: len(cluster.rows(job_id, "stopped")) == 1, 10, "and the node said so")


def test_a_partition_that_never_ends_is_ended_by_its_timeout(start_cluster: StartCluster) -> None:
    cluster = start_cluster(nodes=1, lease=10)
    script = 'trap "" TERM; while :; do sleep 1; done'
    job_id = cluster.submit(shell_job("never", script, Retry=ONCE, Timeouts={"ExecutionTimeout": 1}))
    began = time.monotonic()
    assert cluster.wait_ended(job_id, 30) == "Failed"
    assert time.monotonic() - began < 20
    (row,) = cluster.rows(job_id)
    assert row["Cause"] == "timeout"
    wait_until(lambda: not cluster.programs(), 10, "nothing is left")


HOSTILE = r"""
    cd "$BACALHAU_OUTPUTS"
    ln -s /etc/passwd absolute; ln -s ../../../../etc/passwd up; ln -s . loop; ln -s nowhere dangling; ln -s ok inside
    echo fine >ok; mkfifo pipe; mkdir deep; cd deep
    for n in $(seq 150); do mkdir d; cd d; done; cd "$BACALHAU_OUTPUTS"
    touch -- "$(printf 'new\nline')" "$(printf 'byte\377')" '-rf' ' blank ' "$(printf '\033[31mred')" 'ünï 你好'
    touch "$(printf '%0255d' 0)"
    chmod 000 ok; mkdir locked; touch locked/in; chmod 000 locked
"""


def test_links_and_names_in_results_lead_nowhere(start_cluster: StartCluster, tmp_path: Path) -> None:
    cluster = start_cluster(nodes=1, lease=10)
    paths = [{"Name": "out", "Path": "/outputs"}]
    job_id = cluster.submit(shell_job("hostile", HOSTILE, Retry=ONCE, ResultPaths=paths))
    assert cluster.wait_ended(job_id) == "Completed", cluster.rows(job_id)
    target = tmp_path / "target"
    target.mkdir()
    got = cluster.shoal("job", "get", job_id, "--output-dir", target)
    assert got.code == 0, got
    (out,) = target.rglob("out")
    assert (out / "ok").read_text() == "fine\n"
    assert not os.path.lexists(out / "absolute")
    assert not os.path.lexists(out / "up")
    assert not os.path.lexists(out / "pipe")
    assert (out / "inside").readlink() == Path("ok")
    manifest = json.loads((out.parent.parent / "manifest.json").read_text())
    assert {"out/byte\\xff", "out/\x1b[31mred"} <= {file["Path"] for file in manifest["Partitions"][0]["Files"]}
    assert {"-rf", " blank ", "ünï 你好", "new\nline"} <= {path.name for path in out.iterdir()}
    assert all(path.resolve().is_relative_to(target.resolve()) for path in out.iterdir())


def input_job(cluster: Cluster, name: str, path: str) -> str:
    """A job whose only input is a path of the node; its id."""
    source = {"Source": {"Type": "local", "Params": {"SourcePath": path}}, "Target": "/inputs"}
    return cluster.submit(shell_job(name, "cat $BACALHAU_INPUTS", Retry=ONCE, InputSources=[source]))


def test_inputs_do_not_lead_out_of_what_is_allowed(start_cluster: StartCluster, tmp_path: Path) -> None:
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    (allowed / "fine").write_text("fine\n")
    (tmp_path / "secret").write_text("secret\n")
    (allowed / "link").symlink_to("../secret")
    (allowed / "directory").symlink_to(tmp_path)
    cluster = start_cluster(nodes=1, lease=10, flags=("--allow-path", f"{allowed}/**"))
    fine = input_job(cluster, "fine", f"{allowed}/fine")
    leading_out = [
        input_job(cluster, "link", f"{allowed}/link"),
        input_job(cluster, "through", f"{allowed}/directory/secret"),
        input_job(cluster, "beside", f"{tmp_path}/secret"),
    ]
    assert cluster.wait_ended(fine) == "Completed"
    for job_id in leading_out:
        assert cluster.wait_ended(job_id) == "Failed"
        (row,) = cluster.rows(job_id)
        assert row["Cause"] == "input"
        assert "not allowlisted" in row["Message"]

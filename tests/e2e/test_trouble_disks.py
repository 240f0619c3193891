"""Disks that are full: below the orchestrator, and below a node. What was promised holds, and the reason is told."""

from pathlib import Path

from tests.conftest import StartCluster
from tests.helpers.disks import fill, small_disk
from tests.helpers.jobs import QUICK, shell_job
from tests.helpers.processes import JOBS, Answer, Cluster, tail, wait_until


def test_a_full_disk_ends_the_orchestrator_and_loses_nothing_that_it_answered(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / "cluster", lease=4)
    with small_disk(cluster.home / "orchestrator", "24m") as disk:
        try:
            serve = cluster.start_serve()
            cluster.start_node(cluster.node(1))
            cluster.wait_connected()
            going_on = cluster.submit(shell_job("going-on", 'sleep 3; echo "done"', count=2))
            wait_until(lambda: len(cluster.rows(going_on, "running")) == 2, 20, "both run")
            ballast = fill(disk, leave=64 << 10)
            taken: list[str] = []
            number = 0
            while serve.is_running:
                number += 1
                assert number < 500, "a full disk takes no more"
                try:
                    taken.append(
                        cluster.submit(shell_job(f"j{number}", "true", Meta={"big": "x" * 20_000}), force=True)
                    )
                except (Answer, OSError):
                    wait_until(lambda: not serve.is_running, 15, "it ends by itself")
            assert serve.popen.wait(10) == 1
            last = tail(serve.log)
            assert str(disk / "shoal.db") in last
            assert "full" in last
            assert "Traceback" not in serve.log.read_text()

            ballast.unlink()
            cluster.start_serve()
            for job_id in (going_on, *taken):
                assert cluster.wait_ended(job_id, 40) == "Completed"
            assert {row["Attempts"] for row in cluster.rows(going_on)} == {1}, "what ran went on"
            stored = {job["ID"] for job in cluster.get(f"{JOBS}?limit=1000")["Items"]}
            assert stored >= {going_on, *taken}
            assert len(stored) <= len(taken) + 2, "of what was not answered, at most the last one"
        finally:
            cluster.close()


def test_a_full_disk_of_a_node_fails_the_partition_that_filled_it_and_the_node_goes_on(
    start_cluster: StartCluster,
) -> None:
    cluster = start_cluster(nodes=0, lease=4)
    name = cluster.node(1)
    with small_disk(cluster.home / name, "8m"):
        try:
            cluster.start_node(name, "--cpu", "1", "--memory", "1GB", "--disk", "100MB", "--engines", "process")
            cluster.wait_connected()
            script = (
                '[ "$BACALHAU_PARTITION_INDEX" = 1 ] || exit 0; head -c 20000000 /dev/zero >"$BACALHAU_OUTPUTS/big"'
            )
            paths = [{"Name": "out", "Path": "/outputs"}]
            job_id = cluster.submit(shell_job("full", script, count=6, cpu="1", Retry=QUICK, ResultPaths=paths))
            assert cluster.wait_ended(job_id, 60) == "Failed"
            rows = cluster.rows(job_id)
            assert [row["State"] for row in rows] == [*("completed", "failed"), *["completed"] * 4]
            assert rows[1]["Cause"] == "exit"
            after = cluster.submit(shell_job("after", "echo again", count=4))
            assert cluster.wait_ended(after, 40) == "Completed"
            assert "Traceback" not in cluster.nodes[name].log.read_text()
        finally:
            cluster.close()


def test_a_node_whose_disk_is_filled_from_outside_ends_nothing_falsely(start_cluster: StartCluster) -> None:
    cluster = start_cluster(nodes=0, lease=3)
    small, other = cluster.node(1), cluster.node(2)
    with small_disk(cluster.home / small, "8m") as disk:
        try:
            cluster.start_node(small, cpu=0.4)
            cluster.wait_connected(small)
            job_id = cluster.submit(shell_job("outside", 'sleep 2; echo "$BACALHAU_PARTITION_INDEX"', count=8))
            wait_until(lambda: len(cluster.rows(job_id, "running")) == 4, 20, "four run")
            ballast = fill(disk)
            cluster.start_node(other, cpu=0.4)
            cluster.wait_connected(other)
            assert cluster.wait_ended(job_id, 60) == "Completed"
            logs = cluster.shoal("job", "logs", job_id).out.splitlines()
            assert sorted(line.partition("| ")[2] for line in logs) == [str(index) for index in range(8)]
            assert "Traceback" not in cluster.nodes[small].log.read_text()

            ballast.unlink()
            if not cluster.nodes[small].is_running:
                assert f"{disk}" in tail(cluster.nodes[small].log)
                cluster.start_node(small)
            cluster.wait_connected(small)
            after = cluster.submit(
                shell_job("back", "true", count=4, Constraints=[{"Key": "name", "Operator": "=", "Values": [small]}])
            )
            assert cluster.wait_ended(after, 30) == "Completed"
        finally:
            cluster.close()

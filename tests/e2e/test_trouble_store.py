"""What `shoal serve` says of a data directory that it must not use, and that it leaves it as it is."""

import hashlib
import sqlite3
import subprocess
from pathlib import Path

import pytest

from tests.conftest import StartCluster
from tests.helpers.jobs import shell_job
from tests.helpers.processes import SHOAL, Cluster, free_port


def serve_fails(cluster: Cluster) -> str:
    """What a `serve` on the cluster's data says that has to end with 1."""
    argv = [str(SHOAL), "serve", "--port", str(free_port()), "--data-dir", str(cluster.home / "orchestrator")]
    done = subprocess.run(argv, env=cluster.environ, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1, done
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr


def content(directory: Path) -> dict[str, str]:
    """What is in all files of the database."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in directory.glob("shoal.db*")}


@pytest.fixture
def kept(start_cluster: StartCluster) -> Cluster:
    """A cluster whose orchestrator was told to end, with a job in its store."""
    cluster = start_cluster(nodes=0)
    cluster.submit(shell_job("kept", "true"))
    assert cluster.serve is not None
    assert cluster.serve.end() == 0
    return cluster


def test_a_second_orchestrator_on_the_same_data_is_refused_and_the_first_goes_on(start_cluster: StartCluster) -> None:
    cluster = start_cluster(nodes=1)
    job_id = cluster.submit(shell_job("first", "sleep 1"))
    assert cluster.serve is not None
    said = serve_fails(cluster)
    assert f"{cluster.home / 'orchestrator'}" in said
    assert f"process {cluster.serve.popen.pid}" in said
    assert "another data directory" in said
    assert cluster.wait_ended(job_id) == "Completed"


def test_a_truncated_store_is_refused_and_stays_as_it_is(kept: Cluster) -> None:
    directory = kept.home / "orchestrator"
    database = directory / "shoal.db"
    for rest in directory.glob("shoal.db-*"):
        rest.unlink()
    with database.open("r+b") as file:
        file.truncate(database.stat().st_size // 2)
    before = content(directory)
    said = serve_fails(kept)
    assert str(database) in said
    assert "cut off" in said
    assert "backup" in said
    assert content(directory) == before


def test_a_store_of_a_newer_version_is_refused_and_stays_as_it_is(kept: Cluster) -> None:
    directory = kept.home / "orchestrator"
    connection = sqlite3.connect(directory / "shoal.db")
    connection.execute("PRAGMA user_version = 99")
    connection.commit()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    before = content(directory)["shoal.db"]
    said = serve_fails(kept)
    assert str(directory / "shoal.db") in said
    assert "99" in said
    assert "newer Shoal" in said
    assert content(directory)["shoal.db"] == before


def test_a_store_that_is_none_is_refused_and_stays_as_it_is(kept: Cluster) -> None:
    directory = kept.home / "orchestrator"
    for rest in directory.glob("shoal.db*"):
        rest.unlink()
    (directory / "shoal.db").write_text("dear diary\n" * 100)
    before = content(directory)
    assert "not a database of Shoal" in serve_fails(kept)
    assert content(directory) == before

"""Every sample does what its line in samples/README.md says, and the demo runs through."""

import os
import subprocess
import sys
import time

from tests.helpers.processes import ROOT, Cluster

SAMPLES = ROOT / "samples"


def reduce(cluster: Cluster, script: str, job: str) -> str:
    """What a sample's reduce script prints."""
    argv = [sys.executable, str(SAMPLES / script), job]
    done = subprocess.run(argv, env=cluster.environ, cwd=cluster.home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_weather_is_reduced_to_means_per_month(shared: Cluster) -> None:
    done = shared.shoal("job", "run", SAMPLES / "weather" / "weather.yaml", "--id-only")
    assert done.code == 0, done
    table = reduce(shared, "weather/reduce.py", done.out.strip())
    rows = {line.split()[0]: [float(cell) for cell in line.split()[1:]] for line in table.splitlines()[2:]}
    assert len(rows) == 12
    assert rows["Jul"] == [29.5, 21.5, 70, 26.0, 14.2, 12]
    assert rows["Jan"] == [4.4, -3.4, 82, 8.2, 2.7, 116]


def test_montecarlo_finds_pi(shared: Cluster) -> None:
    done = shared.shoal("job", "run", SAMPLES / "montecarlo" / "montecarlo.yaml", "--id-only")
    assert done.code == 0, done
    told = reduce(shared, "montecarlo/reduce.py", done.out.strip())
    assert told.startswith("16 partitions, 32,000,000 darts: pi is about 3.14")


def test_failing_keeps_nine_and_names_the_tenth(shared: Cluster) -> None:
    done = shared.shoal("job", "run", SAMPLES / "failing.yaml")
    assert done.code == 1, done
    assert "Partition 7: ✗ Failed -> Scheduled for retry" in done.out
    assert "line 4711 of part 7 has no date" in done.out
    assert [row["State"] for row in shared.rows("failing")].count("completed") == 9


def test_flaky_completes_at_its_second_attempt(shared: Cluster) -> None:
    done = shared.shoal("job", "run", SAMPLES / "flaky.yaml")
    assert done.code == 0, done
    assert "Partition 2: ✗ Failed -> Scheduled for retry" in done.out
    assert "Partition 2: ✓ Completed" in done.out
    assert [row["Attempts"] for row in shared.rows("flaky")] == [1, 1, 2, 1, 1]


def test_demo_runs_through() -> None:
    began = time.monotonic()
    argv = [sys.executable, str(SAMPLES / "demo" / "demo.py")]
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("SHOAL_", "BACALHAU_"))}
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert time.monotonic() - began < 90
    assert "Partition 3: ✗ Failed -> Scheduled for retry" in done.stdout
    assert "kill -9 of node n2" in done.stdout
    assert "n2 was started again and removed them" in done.stdout
    assert done.stdout.count("/means/") == 8
    assert "Jul       29.5   21.5      70     26.0   14.2      12" in done.stdout

"""The terminal UI on a real terminal, against a real cluster: compose, watch, read, retry, lose the server, find it again."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.processes import SHOAL, Cluster
from tests.helpers.tmux import Tmux

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")

JOB = """\
Name: dates
Type: batch
Count: 6
Retry: {MaxAttempts: 1}
Tasks:
  - Name: main
    Engine:
      Type: process
      Params:
        Command: sh
        Arguments:
          - -c
          - |
            echo "reading part $BACALHAU_PARTITION_INDEX"
            if [ "$BACALHAU_PARTITION_INDEX.$BACALHAU_ATTEMPT" = 4.1 ]; then
                echo "ValueError: row 17 has no date" >&2
                exit 3
            fi
    Resources: {CPU: 100m, Memory: 32mb}
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path / "home")
    cluster.start_serve()
    name = cluster.node(1)
    cluster.start_node(name)
    cluster.wait_connected(name)
    yield cluster
    cluster.close()


@pytest.fixture
def terminal(cluster: Cluster, tmp_path: Path) -> Iterator[Tmux]:
    templates = cluster.home / ".shoal" / "templates"
    templates.mkdir(parents=True)
    (templates / "dates.yaml").write_text(JOB)
    terminal = Tmux([str(SHOAL)], cluster.environ, tmp_path)
    yield terminal
    terminal.end()


def test_a_job_from_its_composition_to_its_mending_and_through_a_lost_orchestrator(
    cluster: Cluster, terminal: Tmux
) -> None:
    terminal.shows("No jobs yet", "● live")
    terminal.press("c")
    terminal.shows("Form", "hello")
    terminal.press("F3")
    terminal.shows("Begin with", "templates/dates.yaml")
    terminal.press("End", "Enter")
    terminal.shows("compose ▸ dates")
    terminal.press("F4")
    terminal.shows("NEW job dates", "1 of 1 node matches")
    terminal.press("Right", "Enter")

    terminal.shows("jobs ▸ dates", "failed 1", "completed 5")
    terminal.press("n", "l")
    terminal.shows("dates ▸ 4 ▸ log", "ValueError: row 17 has no date")
    terminal.press("/")
    terminal.type("no date")
    terminal.press("Enter")
    terminal.shows("1/1 matches")

    terminal.press("r")
    terminal.shows("Retry 1 partition of dates")
    terminal.press("y")
    terminal.shows("retry: 1 partition")
    terminal.press("Escape")
    terminal.press("q")
    terminal.shows("jobs ▸ dates", "100%", "completed 6")

    assert cluster.serve is not None
    cluster.serve.kill()
    offline = terminal.shows("offline", "retry in")
    assert "completed 6" in offline, "what was known stays on the screen"
    cluster.start_serve()
    terminal.press("R")
    terminal.shows("● ", "completed 6", within=40)
    terminal.press("q")
    terminal.shows("1 of 1 jobs", "Completed")
    terminal.press("C-q")

"""The terminal UI on a real terminal, against a real cluster: compose, watch, read, retry, lose the server, find it again."""

import re
import shlex
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from tests.bench.tui_pty import Terminal
from tests.helpers.processes import SHOAL, Cluster, wait_until
from tests.helpers.slowlink import slow_link
from tests.helpers.tmux import Tmux

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")

CONTROL = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])")
COLOURS = {*range(30, 39), *range(40, 49), *range(90, 108)}
"""Numbers of control sequences that choose a colour."""
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
LONG = JOB.replace("Count: 6", "Count: 500").replace("dates", "many").replace("100m", "10m").replace("32mb", "4mb")
LONG = re.sub(r" if \[.*fi\n", " [ $BACALHAU_PARTITION_INDEX = 412 ] || exit 0\n", LONG, flags=re.DOTALL)
LONG = LONG.replace("|| exit 0\n", "|| exit 0\n            for n in $(seq 900); do echo step $n; sleep 0.2; done\n")


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


def test_partition_412_is_followed_in_7_keys(cluster: Cluster, terminal: Tmux) -> None:
    cluster.submit(yaml.safe_load(LONG))
    terminal.shows("many", "499/500", within=60)
    terminal.press("Enter")
    terminal.shows("jobs ▸ many", "completed 499")
    terminal.type(":412")
    terminal.press("Enter")
    terminal.shows("412 ▶ Running")
    terminal.press("l")
    first = steps(terminal.shows("many ▸ 412 ▸ log", "FOLLOW", "step"))
    assert terminal.keys == 7
    wait_until(lambda: steps(terminal.screen()) > first + 5, 30, "it goes on without a key")


def steps(screen: str) -> int:
    """The last step that is on the screen."""
    return max((int(number) for number in re.findall(r"step (\d+)", screen)), default=0)


def test_on_80_by_24_behind_slow_lines_and_without_colour_the_log_is_still_2_keys_away(cluster: Cluster) -> None:
    job_id = cluster.submit(yaml.safe_load(JOB))
    assert cluster.wait_ended(job_id) == "Failed"
    with slow_link(cluster.port, 0.1) as port:
        environ = {**cluster.environ, "SHOAL_API_PORT": str(port), "NO_COLOR": "1", "LC_ALL": "C.UTF-8"}
        terminal = Terminal([str(SHOAL)], environ, (80, 24), speed=20_000)
        try:
            written = shown(terminal, "5/6")
            terminal.press(b"\r")
            written += shown(terminal, "row 17 has no date")
            terminal.press(b"l")
            written += shown(terminal, "dates ▸ 4 ▸ log", "ValueError: row 17 has no date")
        finally:
            terminal.close()
    for numbers, letter in CONTROL.findall(written):
        if letter == "m":
            assert not COLOURS & {int(number) for number in numbers.split(";") if number}, numbers


def shown(terminal: Terminal, *texts: str, within: float = 60.0) -> str:
    """What is written until all texts were, control sequences included."""
    found = b""

    def has_all() -> bool:
        nonlocal found
        found += terminal.read(0.1)
        plain = CONTROL.sub("", found.decode(errors="replace"))
        return all(text in plain for text in texts)

    wait_until(has_all, within, f"{texts} on the terminal")
    return found.decode(errors="replace")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_told_to_end_it_gives_the_terminal_back(number: signal.Signals, tmp_path: Path) -> None:
    command = f"{shlex.quote(str(SHOAL))} tui --api-port 9; echo left $?; exec cat"
    terminal = Tmux(["sh", "-c", command], {"HOME": str(tmp_path)}, tmp_path)
    try:
        terminal.shows("No orchestrator yet")
        shell = psutil.Process(int(terminal._run("display-message", "-p", "#{pane_pid}")))
        shell.children()[0].send_signal(number)
        terminal.shows(f"left {128 + number}")
        assert terminal._run("display-message", "-p", "#{alternate_on}#{mouse_any_flag}#{cursor_flag}").strip() == "001"
    finally:
        terminal.end()

"""Every shape that the CLI prints, against golden files. `UPDATE_GOLDEN=1 pytest tests/snapshot/cli` writes them anew."""

import json
import os
import re
from pathlib import Path

import pytest

from tests.helpers.cli import Done, Shoal
from tests.helpers.fake_api import JOBS, FakeApi, grid_of
from tui.cli.output import Output

GOLDEN = Path(__file__).parent / "golden"
NOW = re.compile(r'"Time":"20[^"]*"')

COMMANDS = {
    "overview": "--help",
    "job-list": "job list",
    "job-list-csv": "job list --output csv",
    "job-list-json": "job list --json",
    "job-list-output-json": "job list --output json --pretty",
    "job-list-output-yaml": "job list --output yaml",
    "job-describe": "job describe fish",
    "job-describe-json": "job describe fish --json --pretty",
    "job-history": "job history fish",
    "job-history-json": "job history fish --json",
    "job-versions": "job versions fish",
    "job-versions-json": "job versions fish --json",
    "job-executions-json": "job executions fish --json",
    "job-partitions": "job partitions fish",
    "job-partitions-json": "job partitions fish --select failed --json",
    "job-failures": "job failures fish",
    "job-failures-json": "job failures fish --json",
    "job-explain-json": "job explain fish --json",
    "job-wait": "job wait fish",
    "job-wait-json": "job wait fish --json",
    "job-watch": "job watch fish",
    "job-stop": "job stop fish",
    "job-stop-json": "job stop fish --json",
    "job-stop-select-json": "job stop fish --select 3 --json",
    "job-retry": "job retry fish --failed",
    "job-retry-dry-run": "job retry fish --failed --dry-run",
    "job-retry-json": "job retry fish --failed --json",
    "job-retry-override": "job retry fish --failed --memory 4GB --cpu 2 --timeout 1h --avoid-node n1 --add-attempts 2",
    "job-suspend": "job suspend fish --reason maintenance",
    "job-suspend-json": "job suspend fish --json",
    "job-resume": "job resume fish",
    "job-plan": "job plan good.yaml",
    "job-plan-json": "job plan good.yaml --json",
    "events": "events",
    "events-json": "events --json",
    "job-get": "job get fish",
    "job-get-json": "job get fish --json",
    "process-run": "process run --count 5 -- true",
    "process-run-json": "process run --count 5 --json -- true",
    "process-run-nowait-json": "process run --wait=false --json -- true",
    "docker-run-dry-run": "docker run --dry-run --count 3 ubuntu -- echo hi",
    "docker-run-dry-run-json": "docker run --dry-run --json --count 3 ubuntu -- echo hi",
    "node-list": "node list --show labels,version,features,capacity",
    "node-list-json": "node list --json",
    "node-describe": "node describe n1",
    "node-describe-json": "node describe n1 --json",
    "node-drain": "node drain n1 --deadline 10m --reason disk",
    "node-drain-json": "node drain n1 --json",
    "node-undrain": "node undrain n1",
    "error-deadline": "node drain n1 --deadline soon",
    "agent-alive": "agent alive",
    "agent-alive-json": "agent alive --json",
    "agent-version": "agent version",
    "agent-version-json": "agent version --json",
    "agent-node-json": "agent node --json",
    "version-json": "version --json",
    "error-usage-json": "job list --limt 3 --json",
    "error-run-without-dashes": "docker run ubuntu ls -l",
    "error-job-file": "job validate bad.yaml",
    "error-job-file-json": "job validate bad.yaml --json",
}


def text_of(done: Done) -> str:
    """What a command did, as one text."""
    told = f"exit {done.code}\n--- stdout\n{done.out}--- stderr\n{done.err}"
    return NOW.sub('"Time":"(now)"', told)


def compare(name: str, text: str) -> None:
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize("name", COMMANDS)
def test_output_is_as_recorded(name: str, shoal: Shoal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.cli.commands.agent._own_version", lambda: "v0.1.0")
    monkeypatch.setattr("tui.cli.commands.agent._machine", lambda: "amd64")
    (tmp_path / "bad.yaml").write_text(
        "Name: x\nType: batch\nCuont: 3\nTasks:\n  - Name: main\n    Engine: {Type: dcoker}\n"
    )
    (tmp_path / "good.yaml").write_text(
        "Name: x\nType: batch\nTasks:\n  - {Name: main, Engine: {Type: process, Params: {Command: 'true'}}}\n"
    )
    done = shoal(*COMMANDS[name].split())
    compare(name, text_of(done))
    assert "\x1b" not in done.out + done.err
    if "--json" in COMMANDS[name] and "--pretty" not in COMMANDS[name]:
        for line in (done.out + done.err).splitlines():
            if not line.startswith("Warning: "):
                json.loads(line)


def test_a_big_grid_is_a_picture(api: FakeApi, shoal: Shoal) -> None:
    api.on("GET", f"{JOBS}/[^/]+/partitions", grid_of([6] * 110 + [7, 2, 4, 3, 1, 8]))
    compare("job-partitions-big", text_of(shoal("job", "partitions", "fish")))


def test_a_terminal_gets_short_ids_and_its_own_width(shoal: Shoal, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(Output):
        """A terminal of 80 cells."""

        def __init__(self) -> None:
            super().__init__(is_terminal=True, width=80)

    monkeypatch.setattr("tui.cli.main.Output", Terminal)
    done = shoal("job", "failures", "fish")
    assert done.code == 0
    rows = shoal("job", "partitions", "fish", "--select", "failed").out.splitlines()
    assert max(map(len, rows)) <= 80 + len("\x1b[31m\x1b[0m")
    listed = shoal("job", "list", "--no-style").out
    assert "j-11111111 " in listed
    assert "2222" not in listed
    assert re.search(r"\d ago|-", listed)

"""Nodes anywhere: an orchestrator and two nodes in network namespaces of their own, one behind NAT, TLS and tokens on."""

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.far import HUB, Authority, Far, NotAllowedError
from tests.helpers.jobs import ONCE, shell_job
from tests.helpers.processes import SHOAL, Done, Process, tail, wait_until

PORT = "1234"
URL = f"https://{HUB}:{PORT}"
LONG = "SHOAL_TEST_LONG"
"""Set it to have the link cut for two minutes, too."""
DELAY = 200
"""Milliseconds there and back, where the kernel can."""
PARTITIONS = 6


class Wide:
    """The orchestrator on `hub`, nodes on `near` and `home`, a person on `near`."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.far = Far()
        self.processes: dict[str, Process] = {}
        self.authority = Authority(home / "ca")
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("SHOAL_", "BACALHAU_"))}
        self.environ = clean | {"HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
        self.is_slow = True
        try:
            self.far.delay(DELAY)
        except NotAllowedError:
            self.is_slow = False
        self.data = ("--data-dir", str(home / "orchestrator"))

    def start(self) -> None:
        """Have all of it run."""
        self.key = self.make("token", "create", "boss", "--role", "admin")
        cert, key = self.authority.certificate(HUB)
        tls = ("--tls-cert", str(cert), "--tls-key", str(key))
        argv = ["serve", "--host", "0.0.0.0", "--port", PORT, *tls, *self.data]
        self.begin("serve", "hub", *argv)
        wait_until(lambda: "event=listening" in self.log("serve"), 30, "the orchestrator listens")
        ticket = self.make("node", "token", "--uses", "2")
        for machine in ("near", "home"):
            self.start_node(machine, machine, ticket)
        wait_until(lambda: {"near", "home"} <= self.connected(), 40, "both nodes are connected")

    def make(self, *args: str) -> str:
        """A token."""
        argv = [str(SHOAL), *args, *self.data]
        done: subprocess.CompletedProcess[str] = subprocess.run(
            argv, capture_output=True, text=True, check=True, env=self.environ, timeout=60
        )
        return done.stdout.strip()

    def begin(self, name: str, machine: str, *args: str, **environ: str) -> Process:
        """Start a program of ours on a machine."""
        argv = [*self.far.entering(machine), str(SHOAL), *args]
        self.processes[name] = Process(name, argv, self.home / f"{name}.log", self.environ | environ)
        return self.processes[name]

    def start_node(
        self, name: str, machine: str, ticket: str = "", *, ca: Path | None = None, data: str = ""
    ) -> Process:
        """Start a node, with a join token where there is one."""
        argv = ["node", "run", "--orchestrator", URL, "--name", name, "--engines", "process", "--cpu", "2"]
        argv += ["--memory", "2GB", "--disk", "2GB", "--data-dir", str(self.home / (data or name))]
        environ = {"SHOAL_NODE_CA_FILE": str(ca or self.authority.ca)}
        if ticket:
            environ["SHOAL_NODE_JOIN_TOKEN"] = ticket
        return self.begin(data or name, machine, *argv, **environ)

    def shoal(self, *args: str, within: float = 90.0) -> Done:
        """Run the CLI on `near`."""
        environ = {"SHOAL_API_HOST": URL, "SHOAL_API_CA_FILE": str(self.authority.ca), "SHOAL_API_KEY": self.key}
        argv = [*self.far.entering("near"), str(SHOAL), *args]
        done = subprocess.run(
            argv, capture_output=True, text=True, check=False, env=self.environ | environ, timeout=within, cwd=self.home
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def connected(self) -> set[str]:
        """The nodes whose lease holds."""
        done = self.shoal("node", "list", "--json")
        nodes = done.json["Nodes"] if done.code == 0 else []
        return {node["Info"]["NodeID"] for node in nodes if node["Connection"] == "CONNECTED"}

    def submit(self, job: dict[str, Any]) -> str:
        """Submit a job; its id."""
        path = self.home / f"{job['Name']}.json"
        path.write_text(json.dumps(job))
        done = self.shoal("job", "run", "--wait=false", "--json", str(path))
        assert done.code == 0, done
        job_id: str = done.json["JobID"]
        return job_id

    def rows(self, job_id: str) -> list[dict[str, Any]]:
        """Its partitions."""
        rows: list[dict[str, Any]] = self.shoal("job", "partitions", job_id, "--json").json["Items"]
        return rows

    def log(self, name: str) -> str:
        """What a process has logged."""
        return (self.home / f"{name}.log").read_text()

    def ended(self, name: str, within: float = 30.0) -> str:
        """Wait until a process has ended by itself; its last line."""
        process = self.processes[name]
        wait_until(lambda: not process.is_running, within, f"{name} has ended: {tail(process.log)}")
        assert process.popen.returncode == 1
        said = self.log(name)
        assert "Traceback" not in said
        return said.splitlines()[-1]

    def close(self) -> None:
        """End all of it."""
        for process in reversed(self.processes.values()):
            if process.is_running:
                process.end()
        self.far.close()


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wide]:
    try:
        made = Wide(tmp_path_factory.mktemp("wide"))
    except NotAllowedError as error:
        pytest.skip(f"no network namespaces here: {error}")
    try:
        made.start()
        yield made
    finally:
        made.close()
        for path in made.home.glob("*.log"):
            print(f"--- {path.name}\n{tail(path)}")  # noqa: T201 - shown with a test that fails


def test_a_partitioned_job_with_inputs_and_results_runs_through(wide: Wide) -> None:
    script = 'echo "$(cat "$BACALHAU_INPUTS") $BACALHAU_PARTITION_INDEX" | tee "$BACALHAU_OUTPUTS/part.txt"; sleep 2'
    job = shell_job(
        "wide",
        script,
        count=PARTITIONS,
        cpu="500m",
        Retry=ONCE,
        InputSources=[{"Target": "/inputs/words", "Source": {"Type": "inline", "Params": {"URL": "data:,words%20of"}}}],
        ResultPaths=[{"Name": "out", "Path": "/outputs"}],
    )
    job_id = wide.submit(job)
    done = wide.shoal("job", "wait", job_id)
    assert done.code == 0, done
    rows = wide.rows(job_id)
    assert {row["NodeID"] for row in rows} == {"near", "home"}
    assert [row["Attempts"] for row in rows] == [1] * PARTITIONS
    (wide.home / "got").mkdir()
    done = wide.shoal("job", "get", job_id, "--output-dir", str(wide.home / "got"))
    assert done.code == 0, done
    parts = {path.read_text() for path in (wide.home / "got").rglob("part.txt")}
    assert parts == {f"words of {index}\n" for index in range(PARTITIONS)}
    done = wide.shoal("job", "logs", job_id, "--no-prefix")
    assert sorted(done.out.split("\n"))[1:] == [f"words of {index}" for index in range(PARTITIONS)]


def test_nodes_listen_on_nothing(wide: Wide) -> None:
    assert [*wide.far.listeners("near"), *wide.far.listeners("home")] == []
    assert wide.far.listeners("hub"), "the orchestrator does"


def test_the_line_is_slow(wide: Wide) -> None:
    if not wide.is_slow:
        pytest.skip("this kernel has no netem: all above ran without delay")
    begin = time.monotonic()
    assert wide.shoal("agent", "alive").code == 0
    assert time.monotonic() - begin > DELAY / 1000


def running_at_home(wide: Wide, name: str, seconds: float) -> str:
    """A job whose partitions run on both nodes."""
    job_id = wide.submit(shell_job(name, f"sleep {seconds}; echo done", count=4, cpu="1", Retry=ONCE))

    def is_running() -> bool:
        rows = wide.rows(job_id)
        return {row["NodeID"] for row in rows if row["State"] == "running"} == {"near", "home"}

    wait_until(is_running, 30, "it runs on both nodes")
    return job_id


def test_a_link_that_is_cut_for_10_seconds_costs_nothing(wide: Wide) -> None:
    job_id = running_at_home(wide, "cut", 8)
    wide.far.cut("router")
    time.sleep(10)  # what is tested
    wide.far.mend("router")
    assert wide.shoal("job", "wait", job_id).code == 0
    assert [row["Attempts"] for row in wide.rows(job_id)] == [1] * 4


def test_a_router_that_forgets_all_connections_costs_nothing(wide: Wide) -> None:
    job_id = running_at_home(wide, "moved", 8)
    wide.far.move_router()
    assert wide.shoal("job", "wait", job_id).code == 0
    assert [row["Attempts"] for row in wide.rows(job_id)] == [1] * 4
    wait_until(lambda: {"near", "home"} <= wide.connected(), 40, "both nodes are connected")


@pytest.mark.timeout(400)
def test_a_link_that_is_cut_for_2_minutes_is_resumed(wide: Wide) -> None:
    if LONG not in os.environ:
        pytest.skip(f"it takes two minutes: set {LONG}")
    job_id = running_at_home(wide, "long", 20)
    wide.far.cut("router")
    time.sleep(120)  # what is tested
    wide.far.mend("router")
    done = wide.shoal("job", "wait", job_id, within=120)
    assert done.code == 0, done
    wait_until(lambda: {"near", "home"} <= wide.connected(), 60, "both nodes are connected")


def test_a_stolen_node_token_is_refused_under_another_name(wide: Wide) -> None:
    thief = wide.home / "thief"
    thief.mkdir()
    (thief / "node-token").write_bytes((wide.home / "near" / "node-token").read_bytes())
    wide.start_node("thief", "near")
    said = "this token is that of node near: it is not good for node thief"
    assert wide.ended("thief") == f"error: {said}"
    assert said in wide.log("serve")


def test_an_expired_or_used_up_join_token_is_refused(wide: Wide) -> None:
    ticket = wide.make("node", "token", "--ttl", "1s")
    time.sleep(1.1)
    wide.start_node("late", "home", ticket)
    assert wide.ended("late").startswith(f"error: this node cannot join {URL}: join token 'join-")
    assert "expired" in wide.log("late")
    used_up = wide.make("node", "token", "--uses", "1")
    wide.start_node("first", "near", used_up)
    wait_until(lambda: "first" in wide.connected(), 30, "the first is connected")
    wide.start_node("second", "near", used_up)
    assert wide.ended("second").endswith("is used up")
    wide.start_node("first", "near", wide.make("node", "token"), data="twin")
    assert "a node called first has joined already" in wide.ended("twin")
    for words in ("expired", "is used up", "a node called first has joined already"):
        assert words in wide.log("serve")


def test_a_revoked_node_ends(wide: Wide) -> None:
    wide.start_node("gone", "near", wide.make("node", "token", "--uses", "1"))
    wait_until(lambda: "gone" in wide.connected(), 30, "it is connected")
    wide.make("node", "token", "--revoke", "gone")
    assert "does not know this node: invalid API key" in wide.ended("gone")


def test_a_certificate_of_another_authority_is_refused(wide: Wide) -> None:
    other = Authority(wide.home / "other")
    process = wide.start_node("wary", "home", ca=other.ca)
    wait_until(lambda: f"the certificate of {URL} is not trusted" in wide.log("wary"), 30, "the node says so")
    wait_until(lambda: "event=tls_refused" in wide.log("serve"), 10, "the orchestrator says so")
    assert "--ca-file" in wide.log("wary")
    process.end()
    done = wide.shoal("--ca-file", str(other.ca), "node", "list")
    assert done.code == 5
    assert "its certificate is not trusted" in done.err


def test_tokens_are_in_no_log_and_on_no_command_line(wide: Wide) -> None:
    own = json.loads((wide.home / "near" / "node-token").read_bytes())["Token"]
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            assert own.encode() not in path.read_bytes()
            assert wide.key.encode() not in path.read_bytes()
    for log in wide.home.glob("*.log"):
        text = log.read_text()
        assert own not in text
        assert wide.key not in text
        assert "shoal_j_" not in text

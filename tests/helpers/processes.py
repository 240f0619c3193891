"""A cluster of real processes on loopback: `serve`, node agents, the CLI. Only what was started here is ever signalled."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

ROOT = Path(__file__).resolve().parent.parent.parent
SHOAL = Path(sys.executable).with_name("shoal")
SERVE = (str(SHOAL), "serve")
JOBS = "/api/v1/orchestrator/jobs"
NODES = "/api/v1/orchestrator/nodes"
TERMINAL = ("Completed", "Failed", "Stopped")


def wait_until(condition: Callable[[], T | None], within: float = 15.0, what: str = "") -> T:
    """Ask until the answer is truthy, and return it. AssertionError with `what` after `within` seconds."""
    deadline = time.monotonic() + within
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {within:g} s: {what or condition.__name__}"
        time.sleep(0.05)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


class Process:
    """One program of ours in a process group of its own, its output in a file."""

    def __init__(self, name: str, argv: list[str], log: Path, environ: Mapping[str, str]) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as output:
            self.popen = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=dict(environ), start_new_session=True
            )

    @property
    def is_running(self) -> bool:
        return self.popen.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to this process alone, not to what it started."""
        self.popen.send_signal(number)

    def kill(self) -> None:
        """kill -9, as a machine does that loses power; what it started lives on."""
        self.popen.kill()
        self.popen.wait()

    def end(self, within: float = 10.0) -> int:
        """Ask it to end, and wait; by force where it does not."""
        self.popen.terminate()
        try:
            return self.popen.wait(within)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            return self.popen.wait()


class Answer(Exception):  # noqa: N818 - an answer that is not 200 is no error of the test until it says so
    """What the orchestrator answered, where it was not 200."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body


class Cluster:
    """`serve` and its nodes below one directory. Node names are unique on the machine, so that leftovers can be told."""

    def __init__(self, home: Path, *, lease: float = 4.0, fence: float = 600.0) -> None:
        self.home = home
        self.lease = lease
        self.fence = fence
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.mark = uuid.uuid4().hex[:6]
        self.serve: Process | None = None
        self.nodes: dict[str, Process] = {}
        self.node_flags: dict[str, list[str]] = {}
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("SHOAL_", "BACALHAU_"))}
        self.environ = inherited | {
            "HOME": str(home),
            "SHOAL_API_HOST": "127.0.0.1",
            "SHOAL_API_PORT": str(self.port),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        home.mkdir(parents=True, exist_ok=True)

    # Processes

    def start_serve(self, *flags: str, program: Sequence[str] = SERVE) -> Process:
        """Start the orchestrator on the cluster's port and data, and wait until it is ready."""
        argv = [*program, "--port", str(self.port), "--data-dir", str(self.home / "orchestrator")]
        argv += ["--lease", f"{self.lease}s", "--fence", f"{self.fence}s", *flags]
        serve = self.serve = Process("serve", argv, self.home / "serve.log", self.environ)

        def is_ready() -> bool:
            assert serve.is_running, f"serve ended at its start:\n{tail(serve.log)}"
            return self.answers("/readyz")

        wait_until(is_ready, 90, "serve is ready")
        return serve

    def node(self, number: int) -> str:
        """The name of the n-th node, counted from 1."""
        return f"n{number}-{self.mark}"

    def start_node(
        self, name: str, *flags: str, cpu: float = 2, engines: str = "process", wrap: tuple[str, ...] = ()
    ) -> Process:
        """Start an agent, with the flags that it had before where none are given; `wait_connected` waits for it.

        `wrap` goes before its command line.
        """
        if flags or name not in self.node_flags:
            self.node_flags[name] = [
                "--cpu",
                str(cpu),
                "--memory",
                "2GB",
                "--disk",
                "2GB",
                "--engines",
                engines,
                *flags,
            ]
        argv = [*wrap, str(SHOAL), "node", "run", "--orchestrator", self.url, "--name", name]
        argv += ["--data-dir", str(self.home / name), *self.node_flags[name]]
        self.nodes[name] = Process(name, argv, self.home / f"{name}.log", self.environ)
        return self.nodes[name]

    def wait_connected(self, *names: str, within: float = 90.0) -> None:
        """Wait until these nodes, or all that were started, hold a lease."""
        wanted = set(names or self.nodes)
        wait_until(lambda: wanted <= self.connected(), within, f"{sorted(wanted)} are connected")

    def connected(self) -> set[str]:
        """Names of the nodes whose lease holds."""
        nodes = [node["Info"] for node in self.get(NODES)["Nodes"] if node["Connection"] == "CONNECTED"]
        return {info["NodeID"] for info in nodes if info["NodeType"] == "Compute"}

    # Requests

    def answers(self, path: str) -> bool:
        """Whether a GET of `path` is answered with 200 now."""
        try:
            self.request("GET", path)
        except (Answer, OSError):
            return False
        return True

    def get(self, path: str) -> Any:
        """The body of a GET. Raises Answer."""
        return self.request("GET", path)

    def put(self, path: str, body: Any) -> Any:
        """The body that a PUT is answered with. Raises Answer."""
        return self.request("PUT", path, body)

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """One request. JSON where it is JSON, else text. Raises Answer when the status is not 200."""
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, content, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return plain(response.read())
        except urllib.error.HTTPError as error:
            with error:
                raise Answer(error.code, plain(error.read())) from None

    def submit(self, job: Mapping[str, Any], *, force: bool = False) -> str:
        """Submit a job over REST; its id."""
        job_id: str = self.put(JOBS, {"Job": job, "Force": force})["JobID"]
        return job_id

    def job_state(self, job_id: str) -> str:
        """Where a job stands: `Running`, `Completed`, ..."""
        state: str = self.get(f"{JOBS}/{job_id}")["Job"]["State"]["StateType"]
        return state

    def wait_ended(self, job_id: str, within: float = 30.0) -> str:
        """Wait until the job has ended; its state."""

        def ended() -> str | None:
            state = self.job_state(job_id)
            return state if state in TERMINAL else None

        return wait_until(ended, within, f"{job_id} has ended")

    def rows(self, job_id: str, select: str = "all") -> list[dict[str, Any]]:
        """Rows of the selected partitions."""
        rows: list[dict[str, Any]] = []
        token = ""
        while True:
            page = self.get(f"{JOBS}/{job_id}/partitions?select={select}&next_token={token}")
            rows += page["Items"]
            token = page["NextToken"]
            if not token:
                return rows

    def attempts(self, job_id: str, index: int) -> list[dict[str, Any]]:
        """Every attempt of a partition, oldest first."""
        attempts: list[dict[str, Any]] = self.get(f"{JOBS}/{job_id}/partitions/{index}")["Attempts"]
        return attempts

    def shoal(self, *args: str | Path, within: float = 60.0, stdin: str = "", **environ: str) -> "Done":
        """Run the CLI against this cluster, in its directory."""
        done = subprocess.run(
            [SHOAL, *args],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=within,
            env=self.environ | environ,
            cwd=self.home,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def spawn(self, *args: str | Path) -> "subprocess.Popen[str]":
        """Start the CLI against this cluster; the caller ends it."""
        return subprocess.Popen(
            [SHOAL, *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environ,
            cwd=self.home,
            start_new_session=True,
        )

    # The end

    def logs(self) -> str:
        """The last lines of every process, for a test that failed."""
        return "\n".join(f"--- {path.name}\n{tail(path)}" for path in sorted(self.home.glob("*.log")))

    def programs(self) -> list[int]:
        """Pids of what runs on this machine for one of our nodes, whether its agent lives or not."""
        names = {f"BACALHAU_NODE_ID={name}".encode() for name in self.node_flags}
        return [pid for pid, environ in environs() if names & set(environ)]

    def close(self) -> None:
        """End every process, and what dead agents left."""
        for process in (*self.nodes.values(), self.serve):
            if process is not None and process.is_running:
                with contextlib.suppress(ProcessLookupError):
                    process.signal(signal.SIGCONT)
                process.end()
        for pid in self.programs():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


class Done:
    """How a command ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err
        assert "Traceback" not in err + out, f"a traceback reached the user:\n{err}{out}"

    def __repr__(self) -> str:
        return f"exit {self.code}\n--- stdout\n{self.out}--- stderr\n{self.err}"

    @property
    def json(self) -> Any:
        """Stdout as JSON."""
        return json.loads(self.out)


def plain(body: bytes) -> Any:
    """A body as data where it is JSON, else as text."""
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")


def tail(path: Path, lines: int = 40) -> str:
    """The last lines of a file."""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""


def environs() -> Iterator[tuple[int, list[bytes]]]:
    """The environment of every process of this machine that we may read."""
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            yield int(path.parent.name), path.read_bytes().split(b"\0")

"""The real orchestrator in a thread of this process, for clients that mean harm: it notes everything that it should not do."""

import asyncio
import contextlib
import http.client
import json
import logging
import socket
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import structlog
from structlog.testing import LogCapture

from orchestrator.store.memory import MemoryStore
from tests.helpers.server import JOBS, Agent, Api, orchestrator, plain_job


class Complaints(logging.Handler):
    """Errors that the server's libraries log."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it, but for what uvicorn says about requests that are no HTTP."""
        text = record.getMessage()
        if not text.startswith("Invalid HTTP request received"):
            self.said.append(f"{record.name}: {text} {record.exc_info or ''}")


class Victim:
    """One orchestrator with a job `victim` of three partitions, one of them assigned to the node `n1`."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.port = 0
        self.job_id = ""
        self.execution_id = ""
        self.library = Complaints()
        self.log = LogCapture()
        self._connection: http.client.HTTPConnection | None = None

    def complaints(self) -> list[str]:
        """What was logged since the last call as an error, or with a traceback, ours and the libraries'."""
        ours, self.log.entries = self.log.entries, []
        theirs, self.library.said = self.library.said, []
        return [str(one) for one in ours if one["log_level"] in ("error", "critical") or "exc_info" in one] + theirs

    @property
    def stored(self) -> tuple[int, ...]:
        """How many jobs, partitions, executions, nodes and answers are stored."""
        store = self.store
        return tuple(
            len(kept) for kept in (store._jobs, store._partitions, store._executions, store._nodes, store._answers)
        )

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Status and body of a request. Asserts that it is none of the server's faults, and an envelope where refused."""
        kind = {"Content-Type": "application/json"} if body is not None else {}
        try:
            status, content = self._exchange(method, path, body, {**kind, **(headers or {})})
        except ConnectionError:  # closed since the last request, as after a 413
            self.hang_up()
            status, content = self._exchange(method, path, body, {**kind, **(headers or {})})
        shown = f"{method} {path[:300]!r} {(body or b'')[:300]!r} -> {status} {content[:500]!r}"
        complaints = self.complaints()
        assert status < 500, (shown, complaints)
        assert not complaints, shown
        assert b"Traceback" not in content, shown
        if status >= 400 and method != "HEAD":
            envelope = json.loads(content)
            assert envelope.get("Message") or envelope.get("Error"), shown
        return status, content

    def _exchange(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
            if answer.status == 200 and "/watch" in path.partition("?")[0] and method == "GET":  # it never ends
                content = answer.readline()
                self.hang_up()
                return 200, content
            return answer.status, answer.read()
        except OSError:
            self.hang_up()
            raise

    def hang_up(self) -> None:
        """Close the connection; the next request opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def raw(self, sent: bytes, silence: float = 0.2) -> bytes:
        """What comes back for bytes on a connection of their own, until it is closed or nothing came for a while."""
        received = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            with contextlib.suppress(ConnectionError, TimeoutError):
                connection.sendall(sent)
                connection.settimeout(silence)
                while piece := connection.recv(65536):
                    received += piece
            return received

    def is_well(self) -> bool:
        """Whether it answers, and its job is as it was."""
        status, content = self.send("GET", f"{JOBS}/victim/partitions?select=all")
        return status == 200 and len(json.loads(content)["Items"]) == 3


@contextlib.contextmanager
def victim(directory: Path) -> Iterator[Victim]:
    """A running orchestrator to be mistreated."""
    found = Victim()
    ready, leave = threading.Event(), threading.Event()
    failure: list[BaseException] = []

    async def live() -> None:
        async with orchestrator(directory, found.store) as url:
            found.port = int(url.rpartition(":")[2])
            api = Api(url)
            agent = Agent(api, cpu=1)
            await agent.sync()
            found.job_id = await api.submit("victim", count=3)
            await agent.sync()
            found.execution_id = agent.at(0)
            await api.http.aclose()
            ready.set()
            await asyncio.to_thread(leave.wait)

    def work() -> None:
        try:
            asyncio.run(live())
        except BaseException as error:
            failure.append(error)
            raise
        finally:
            ready.set()

    before: Any = structlog.get_config()["processors"]
    structlog.configure(processors=[found.log])
    logging.getLogger().addHandler(found.library)
    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert ready.wait(20), "it starts"
        assert not failure, failure
        yield found
    finally:
        found.hang_up()
        leave.set()
        thread.join(20)
        logging.getLogger().removeHandler(found.library)
        structlog.configure(processors=before)


def full_job(name: str) -> dict[str, Any]:
    """A job that says something in every field, and that no node is there for."""
    job = plain_job(
        name,
        count=2,
        Priority=3,
        Labels={"a": "b"},
        Meta={"c": "d"},
        Constraints=[{"Key": "region", "Operator": "in", "Values": ["nowhere-at-all"]}],
        Retry={"MaxAttempts": 2, "MaxLost": 1, "Backoff": {"Initial": 1, "Factor": 2, "Max": 5, "Jitter": True}},
        Publisher={"Type": "orchestrator", "Params": {}},
        Timeouts={"ExecutionTimeout": 5, "QueueTimeout": 1, "TotalTimeout": 6},
    )
    job["Tasks"][0] |= {
        "Env": {"A": "1"},
        "Meta": {"e": "f"},
        "ResultPaths": [{"Name": "out", "Path": "/outputs"}],
        "InputSources": [
            {"Source": {"Type": "local", "Params": {"SourcePath": "/x"}}, "Target": "/inputs", "Alias": "x"},
            {"Source": {"Type": "inline", "Params": {"Content": "data:,hello"}}, "Target": "/hello"},
        ],
        "Network": {"Type": "Host", "Domains": [], "Ports": [{"Name": "web", "Static": 8080}]},
        "Resources": {"CPU": "100m", "Memory": "1mb", "Disk": "1mb", "GPU": "0"},
    }
    job["Tasks"][0]["Engine"]["Params"] |= {
        "Arguments": ["x"],
        "EnvironmentVariables": ["A=b"],
        "WorkingDirectory": "/tmp",
    }
    return job

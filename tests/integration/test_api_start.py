"""`python -m orchestrator` as a process: how it starts, refuses to, and ends; and what it can be told."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.config import read_config
from orchestrator.contract.ids import Timestamp
from orchestrator.contract.settings import ConfigError
from orchestrator.core.model import Changes
from orchestrator.errors import StoreError
from orchestrator.store.memory import MemoryStore
from tests.helpers.processes import wait_until
from tests.helpers.server import JOBS, Api, orchestrator, plain_job

ENVIRON = {key: value for key, value in os.environ.items() if not key.startswith("SHOAL_")}
Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts an orchestrator on any free port and waits until it listens; what it says goes to `said`."""
    processes: list[subprocess.Popen[bytes]] = []

    def begin(*flags: str) -> "subprocess.Popen[bytes]":
        argv = [sys.executable, "-m", "orchestrator", "--port", "0", "--data-dir", str(tmp_path / "data"), *flags]
        log = tmp_path / "said"
        with log.open("wb") as output:
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=ENVIRON)
        processes.append(process)
        wait_until(lambda: "event=listening" in log.read_text() or process.poll() is not None, 20, "it listens")
        assert process.poll() is None, log.read_text()
        return process

    yield begin
    for process in processes:
        process.kill()
        process.wait()


def refused(*flags: str) -> tuple[int, str]:
    """Exit code and words of one that does not start."""
    argv = [sys.executable, "-m", "orchestrator", *flags]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20, env=ENVIRON, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_when_told_to(start: Start, tmp_path: Path, number: signal.Signals) -> None:
    process = start()
    process.send_signal(number)
    assert process.wait(10) == 0
    assert "Traceback" not in (tmp_path / "said").read_text()


def test_it_keeps_its_name_over_restarts_and_does_not_share_its_data(start: Start, tmp_path: Path) -> None:
    before = start()
    before.terminate()
    before.wait(10)
    path = tmp_path / "data" / "orchestrator-id"
    first = path.read_text()
    assert first.startswith("n-")
    start()
    assert path.read_text() == first
    code, said = refused("--port", "0", "--data-dir", str(tmp_path / "data"))
    assert code == 1
    assert str(tmp_path / "data") in said


def test_a_data_directory_that_cannot_be_made_is_named() -> None:
    code, said = refused("--port", "0", "--data-dir", "/dev/null/x")
    assert code == 1
    assert said.startswith("error: /dev/null/x: ")


class FullDisk(MemoryStore):
    """A store that fails from some moment on."""

    is_full = False
    path = "/data/cluster.db"

    async def commit(self, changes: Changes, number: int, now: Timestamp) -> None:
        if self.is_full:
            raise StoreError(self.path, "No space left on device")
        await super().commit(changes, number, now)


async def test_a_store_that_fails_ends_the_process_with_its_path_and_reason(tmp_path: Path) -> None:
    store = FullDisk()
    serving = orchestrator(tmp_path, store)
    api = Api(await serving.__aenter__())
    await api.submit("kept")
    store.is_full = True
    answer = await api.ask("PUT", JOBS, {"Job": plain_job("lost")})
    assert (answer.status_code, answer.json()["Code"]) == (500, "DatastoreFailure")
    await api.http.aclose()
    with pytest.raises(StoreError, match=r"^/data/cluster\.db: No space left on device$"):
        await serving.__aexit__(None, None, None)


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        code, said = refused("--port", port, "--data-dir", str(tmp_path))
    assert code == 1
    assert said.strip() == f"error: cannot listen on 127.0.0.1:{port}: another program has it; give --port another one"


def test_idle_it_takes_less_than_90_megabytes(start: Start) -> None:
    process = start()
    status = Path(f"/proc/{process.pid}/status").read_text()
    resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    assert resident < 90_000


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (("--tls-cert", "c.pem"), "tls_key: found nothing"),
        (("--no-tls", "--tls-cert", "c.pem", "--tls-key", "k.pem"), "no_tls: found true"),
        (("--host", "example.org"), "loopback"),
        (("--prot", "1"), "did you mean --port?"),
        (("--port", "x"), "0 to 65535"),
        (("--port", "70000"), "0 to 65535"),
        (("--lease", "0"), "lease"),
        (("--lease", "soon"), "lease"),
        (("--lease", "30s", "--fence", "10s"), "fence"),
        (("--store", "redis"), "sqlite, memory"),
        (("--config", "/nope.yaml"), "/nope.yaml"),
    ],
)
def test_what_it_cannot_be_told_is_named(flags: tuple[str, ...], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        read_config(flags, {})


def test_a_wrong_configuration_is_exit_code_2() -> None:
    code, said = refused("--host", "0.0.0.0")
    assert code == 2
    assert said.startswith("error: host: found '0.0.0.0', allowed: a loopback address")


def test_flags_win_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("port: 1\nLease: 5s\nfence: 20s\ndataDir: ~/x\n")
    environ = {"SHOAL_ORCHESTRATOR_PORT": "2", "SHOAL_ORCHESTRATOR_LEASE": "6s", "SHOAL_NODE_X": "y"}
    config = read_config(["--config", str(file), "--port", "3"], environ)
    assert (config.port, config.lease, config.fence) == (3, 6, 20)
    assert config.data_dir == Path("~/x").expanduser()
    with pytest.raises(ConfigError, match="did you mean SHOAL_ORCHESTRATOR_PORT"):
        read_config([], {"SHOAL_ORCHESTRATOR_PROT": "2"})
    file.write_text("prot: 1\n")
    with pytest.raises(ConfigError, match="unknown setting prot; did you mean port"):
        read_config(["--config", str(file)], {})
    for text in ("- a", "a: [", "\x00"):
        file.write_text(text)
        with pytest.raises(ConfigError, match=r"c\.yaml"):
            read_config(["--config", str(file)], {})

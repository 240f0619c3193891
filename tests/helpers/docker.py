"""Docker for tests: an image made of busybox, an engine of one's own, a registry on loopback."""

import io
import os
import shutil
import signal
import socket
import subprocess
import tarfile
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

import pytest

from tests.helpers.processes import free_port

IMAGE = "shoal-test/busybox:1"
DEFAULT_HOST = "unix:///var/run/docker.sock"
BUSYBOX = Path("/bin/busybox")
APPLETS = (
    *(
        "awk",
        "cat",
        "date",
        "dd",
        "echo",
        "env",
        "false",
        "grep",
        "head",
        "hostname",
        "id",
        "ip",
        "kill",
        "ls",
        "mkdir",
        "nc",
    ),
    *(
        "ping",
        "printf",
        "ps",
        "pwd",
        "rm",
        "sed",
        "seq",
        "setsid",
        "sh",
        "sleep",
        "sort",
        "tail",
        "touch",
        "tr",
        "true",
        "wc",
        "wget",
    ),
)


def docker(*arguments: str, host: str = DEFAULT_HOST, stdin: bytes | None = None) -> str:
    """What the docker command prints. Fails with what it complains about."""
    done = subprocess.run(["docker", "-H", host, *arguments], input=stdin, capture_output=True, check=False)
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr.decode()}"
    return done.stdout.decode().strip()


def has_docker() -> bool:
    """Whether the default engine answers."""
    return (
        shutil.which("docker") is not None
        and subprocess.run(["docker", "version"], capture_output=True, check=False).returncode == 0
    )


def missing(what: str) -> NoReturn:
    """Give up a test for want of something: in CI it fails, elsewhere it is skipped and says so."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is not there, and has to be in CI")
    pytest.skip(f"{what} is not there")


def build_image(tag: str = IMAGE, host: str = DEFAULT_HOST) -> str:
    """Make an image of busybox alone, unless it is there; its tag."""
    known = subprocess.run(["docker", "-H", host, "image", "inspect", tag], capture_output=True, check=False)
    if known.returncode != 0:
        docker("import", "--change", 'CMD ["sh"]', "-", tag, host=host, stdin=_root())
    return tag


def _root() -> bytes:
    """A root directory as a tar file: busybox, and a link for each of its commands that tests use."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("bin", "etc", "tmp", "root"):
            member = tarfile.TarInfo(name)
            member.type, member.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            archive.addfile(member)
        archive.add(BUSYBOX, "bin/busybox")
        for name in APPLETS:
            member = tarfile.TarInfo(f"bin/{name}")
            member.type, member.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(member)
        content = b"root:x:0:0:root:/root:/bin/sh\n"
        member = tarfile.TarInfo("etc/passwd")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


class PrivateEngine:
    """A Docker engine that shares nothing with the machine's: its tags overwrite nobody's.

    It has a network namespace of its own: one more engine in the machine's would take away the first one's bridge.
    """

    def __init__(self) -> None:
        self.name = f"shoal-{uuid.uuid4()}"
        self.namespace = f"shoal-{uuid.uuid4().hex}"
        self.directory = Path(tempfile.mkdtemp(prefix="shoal-docker-"))
        self.host = f"unix://{self.directory}/docker.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *flags: str) -> None:
        """Start it, and return when it answers."""
        place = self.directory
        command = [
            "unshare",
            "--net",
            "dockerd",
            "--host",
            self.host,
            "--data-root",
            f"{place}/data",
            "--exec-root",
            f"{place}/exec",
        ]
        command += ["--pidfile", f"{place}/pid", "--iptables=false", "--ip-masq=false"]
        command += [
            "--containerd-namespace",
            self.namespace,
            "--containerd-plugins-namespace",
            f"{self.namespace}-plugins",
            *flags,
        ]
        with (place / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while subprocess.run(["docker", "-H", self.host, "version"], capture_output=True, check=False).returncode != 0:
            assert self._process.poll() is None, (place / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, (place / "log").read_text()[-2000:]
            time.sleep(0.1)

    def containers(self) -> list[str]:
        """Names of all containers, ended ones included."""
        return docker("ps", "--all", "--format", "{{.Names}}", host=self.host).split()

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it, and the containerd that it started; with SIGKILL its containers go on."""
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(30)
        self._kill("containerd.toml")
        (self.directory / "exec/containerd/containerd.pid").unlink(missing_ok=True)

    def _kill(self, word: str = "") -> None:
        """Kill what belongs to this engine, if its command line has the word too."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with suppress(OSError):
                    command = (entry / "cmdline").read_bytes().decode(errors="replace")
                    if str(self.directory) in command and word in command and int(entry.name) != os.getpid():
                        os.kill(int(entry.name), signal.SIGKILL)

    def remove(self) -> None:
        """End it, and remove all that it left."""
        if self._process is not None and self._process.poll() is None:
            self.end()
        self._kill()
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in sorted((mount for mount in mounts if mount.startswith(str(self.directory))), reverse=True):
            subprocess.run(["umount", "-l", mount], check=False)
        shutil.rmtree(self.directory, ignore_errors=True)


@contextmanager
def private_engine() -> Iterator[PrivateEngine]:
    """An engine of one's own; needs root and dockerd."""
    if shutil.which("dockerd") is None or os.geteuid() != 0:
        missing("dockerd (as root)")
    engine = PrivateEngine()
    try:
        engine.start()
        yield engine
    finally:
        engine.remove()


@contextmanager
def registry(directory: Path) -> Iterator[str]:
    """A registry on loopback, as `127.0.0.1:port`; engines talk to it without TLS."""
    program = shutil.which("docker-registry")
    if program is None:
        missing("docker-registry")
    port = free_port()
    directory.mkdir(parents=True, exist_ok=True)
    config = directory / "registry.yml"
    config.write_text(
        f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {directory}/registry}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n"
    )
    with (directory / "registry.log").open("wb") as log:
        process = subprocess.Popen([str(program), "serve", str(config)], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 20
        while not _listens(port):
            assert process.poll() is None, (directory / "registry.log").read_text()
            assert time.monotonic() < deadline, "the registry does not listen"
            time.sleep(0.05)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0

"""What `make demo` shows: a cluster on loopback, a partitioned job over real data, a lost node, results side by side.

python samples/demo/demo.py [process|docker]
"""

import asyncio
import contextlib
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SHOAL = Path(sys.executable).with_name("shoal")
IMAGE = "shoal-demo/busybox"
LOST = "n2"
"""The node that is killed."""


class DemoError(Exception):
    """The demo cannot go on; the message says why."""


def say(text: str) -> None:
    """One line for the onlooker."""
    line = f"==> {text}"
    print(f"\033[1;36m{line}\033[0m" if sys.stdout.isatty() else line, flush=True)


async def wait_until(condition: Callable[[], Any], within: float, what: str) -> None:
    """Ask every 0.2 s, in a thread, until the answer is true. Raises DemoError after `within` seconds."""
    deadline = time.monotonic() + within
    while not await asyncio.to_thread(condition):
        if time.monotonic() > deadline:
            message = f"waited {within:g} s in vain until {what}"
            raise DemoError(message)
        await asyncio.sleep(0.2)


class Cluster:
    """`shoal serve` and three `shoal node run`, below one temporary directory."""

    def __init__(self, home: Path, engine: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.home = home
        self.engine = engine
        self.environ = os.environ | {"SHOAL_API_HOST": "127.0.0.1", "SHOAL_API_PORT": str(self.port)}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *args: str) -> None:
        """Start `shoal ARGS` in the background, its output in a file."""
        with (self.home / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [SHOAL, *args],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environ,
                start_new_session=True,
            )

    def serve(self) -> None:
        """Start the orchestrator."""
        data = str(self.home / "orchestrator")
        self.start("serve", "serve", "--lease", "5s", "--port", str(self.port), "--data-dir", data)

    def node(self, name: str) -> None:
        """Start an agent: room for two partitions, may read the samples."""
        flags = ["--name", name, "--data-dir", str(self.home / name), "--engines", self.engine, "--cpu", "1"]
        url = f"http://127.0.0.1:{self.port}"
        self.start(name, "node", "run", "--orchestrator", url, *flags, "--allow-path", f"{HERE.parent}/**")

    def get(self, path: str) -> Any:
        """The body of a GET, or nothing while nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return json.load(answer)
        except (OSError, ValueError):
            return {}

    def is_ready(self) -> bool:
        """Whether the orchestrator answers. Raises DemoError when it has ended."""
        if self.processes["serve"].poll() is not None:
            message = "`shoal serve` ended at its start"
            raise DemoError(message)
        return bool(self.get("/readyz"))

    def connected(self) -> set[str]:
        """Names of the nodes whose lease holds."""
        nodes = self.get("/api/v1/orchestrator/nodes").get("Nodes", [])
        infos = [node["Info"] for node in nodes if node["Connection"] == "CONNECTED"]
        return {info["NodeID"] for info in infos if info["NodeType"] == "Compute"}

    def running_on(self, job: str, node: str) -> list[str]:
        """Ids of the executions of a job that run on a node, as the orchestrator sees it."""
        rows = self.get(f"/api/v1/orchestrator/jobs/{job}/partitions?select=running").get("Items", [])
        return [row["ExecutionID"] for row in rows if row["NodeID"] == node]

    def alive(self, executions: list[str]) -> list[str]:
        """Which of these executions have programs on this machine, whatever anybody says about them."""
        if self.engine == "docker":
            names = subprocess.run(
                ["docker", "ps", "--format", "{{.Names}}"], capture_output=True, text=True, check=True
            )
            return sorted(set(executions) & set(names.stdout.split()))
        marks = {f"BACALHAU_EXECUTION_ID={execution}".encode(): execution for execution in executions}
        found = set()
        for path in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                found |= {marks[entry] for entry in path.read_bytes().split(b"\0") if entry in marks}
        return sorted(found)

    async def shoal(self, *args: str | Path) -> AsyncIterator[str]:
        """Run a command as the user would, and yield its lines as they come. Raises DemoError when it fails."""
        print(f"$ shoal {shlex.join(shown(arg) for arg in args)}", flush=True)
        command = await asyncio.create_subprocess_exec(
            SHOAL,
            *args,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=self.environ,
            cwd=self.home,
        )
        assert command.stdout is not None
        try:
            async for line in command.stdout:
                yield line.decode(errors="replace").rstrip("\n")
            if await command.wait():
                message = f"`shoal {' '.join(map(str, args[:2]))}` ended with exit code {command.returncode}"
                raise DemoError(message)
        finally:
            if command.returncode is None:
                command.terminate()
                await command.wait()

    async def show(self, *args: str | Path) -> None:
        """Run a command and print what it prints."""
        async for line in self.shoal(*args):
            print(f"  {line}", flush=True)

    def last_words(self) -> str:
        """The end of every process's log."""
        ends = [f"--- {log.name}\n{log.read_text()[-1000:]}" for log in sorted(self.home.glob("*.log"))]
        return "\n".join(ends)

    def take_down(self, job: str) -> None:
        """Stop what still runs, then the agents, then the orchestrator."""
        serve = self.processes.get("serve")
        if serve and serve.poll() is None and self.get(f"/api/v1/orchestrator/jobs/{job}"):
            subprocess.run([SHOAL, "job", "stop", job], env=self.environ, capture_output=True, check=False)
            deadline = time.monotonic() + 10
            while any(self.running_on(job, node) for node in self.connected()) and time.monotonic() < deadline:
                time.sleep(0.2)
        for name in (*(name for name in self.processes if name != "serve"), "serve"):
            process = self.processes.get(name)
            if process and process.poll() is None:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()


def shown(arg: str | Path) -> str:
    """A path as somebody in the repository would type it."""
    if isinstance(arg, Path) and arg.is_relative_to(HERE.parent.parent):
        return str(arg.relative_to(HERE.parent.parent))
    return str(arg)


async def lose_a_node(cluster: Cluster, job: str) -> None:
    """Kill an agent with -9 while it has work; when its lease is over, start it again."""
    await wait_until(lambda: len(cluster.running_on(job, LOST)) == 2, 60, f"two partitions run on {LOST}")
    executions = cluster.running_on(job, LOST)
    cluster.processes[LOST].kill()
    cluster.processes[LOST].wait()
    say(f"kill -9 of node {LOST}: its two partitions run on, but nobody hears of them; its lease ends within 5 s")
    await wait_until(lambda: LOST not in cluster.connected(), 60, f"the lease of {LOST} is over")
    say(
        f"{LOST} is lost, its partitions go to whoever has room; programs that it left: {len(cluster.alive(executions))}"
    )
    cluster.node(LOST)
    await wait_until(lambda: LOST in cluster.connected(), 60, f"{LOST} is back")
    await wait_until(lambda: not cluster.alive(executions), 60, f"{LOST} removed what it had left")
    say(f"{LOST} was started again and removed them; it takes part as before")


async def run(cluster: Cluster) -> None:
    """The whole show."""
    job = "weather" if cluster.engine == "process" else "weather-docker"
    file = HERE / f"{job}.yaml"
    try:
        say("one orchestrator and three nodes, each a process of its own, on loopback")
        cluster.serve()
        await wait_until(cluster.is_ready, 60, "the orchestrator is ready")
        for name in ("n1", "n2", "n3"):
            cluster.node(name)
        await wait_until(lambda: cluster.connected() == {"n1", "n2", "n3"}, 60, "three nodes are connected")

        say(
            "eight years of daily weather, one partition a station and year; two fit on a node, the others wait their turn"
        )
        say("partition 3 fails at its first attempt, on purpose")
        async with asyncio.TaskGroup() as group:
            group.create_task(cluster.show("job", "run", file))
            group.create_task(lose_a_node(cluster, job))

        say("where each partition ran, and at which attempt")
        await cluster.show("job", "partitions", job, "--select", "0-7")

        say("the results of all partitions, side by side")
        await cluster.show("job", "get", job)
        results = cluster.home / f"job-{job}"
        for path in sorted(results.glob("**/means/*.csv")):
            print(f"  {path.relative_to(cluster.home)}")
        say("and reduced to one table: mean high and low in °C, mean rain a month")
        reduce = [sys.executable, str(HERE.parent / "weather" / "reduce.py"), str(results)]
        await asyncio.to_thread(subprocess.check_call, reduce)
    finally:
        say("the cluster is taken down")
        cluster.take_down(job)


async def main(engine: str) -> int:
    """Run the demo; 0 when all of it went as told."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="shoal-demo-") as home:
        cluster = Cluster(Path(home), engine)
        failed = []
        try:
            if engine == "docker":
                await asyncio.to_thread(subprocess.check_call, ["bash", str(HERE / "image.sh"), IMAGE])
            await run(cluster)
        except* (DemoError, subprocess.CalledProcessError) as errors:
            failed += [str(error) for error in errors.exceptions]
        if failed:
            print(cluster.last_words(), *(f"demo: {text}" for text in failed), sep="\n", file=sys.stderr)
            return 1
    say(f"done in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    wanted = sys.argv[1] if len(sys.argv) > 1 else "process"
    if wanted not in ("process", "docker"):
        sys.exit(f"ENGINE is {wanted}; allowed: process, docker")
    try:
        sys.exit(asyncio.run(main(wanted)))
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(130)

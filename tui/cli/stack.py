"""Processes that belong together: started, started again when they die, and all taken down at the end."""

import asyncio
import ctypes
import signal
import time
from contextlib import suppress
from pathlib import Path

from tui.cli.context import Context
from tui.cli.diagnostics import CommandError, ExitCode, note, warn
from tui.cli.printable import counted

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 15.0
"""Seconds before a child that died is started again: doubled each time, until it has lived for a minute."""
HEALTHY = 60.0
GIVE_UP = 3
"""So many deaths of a child before everything was ready mean that it cannot start here."""
GRACE = 15.0
"""Seconds that a child has to end when told to."""
USAGE = 2
"""Exit code of a child that was started with wrong flags: starting it again cannot help."""
STARTED = b"node_started"
"""What an agent logs when it has taken up what it left."""
PR_SET_PDEATHSIG = 1


class Child:
    """One process, with its output in a file."""

    def __init__(self, name: str, argv: list[str], log: Path) -> None:
        self.name = name
        self.argv = argv
        self.log = log
        self.process: asyncio.subprocess.Process | None = None
        self.began = 0.0
        self.log_offset = 0
        self.deaths = 0

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self.process is not None and self.process.returncode is None

    async def start(self) -> asyncio.subprocess.Process:
        """Start it, in a session of its own, so that a Ctrl-C of the terminal reaches only us."""
        with self.log.open("ab") as output:
            self.log_offset = output.tell()
            self.process = await asyncio.create_subprocess_exec(
                *self.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )
        self.began = time.monotonic()
        return self.process

    def said(self) -> bytes:
        """What it wrote since its last start."""
        with self.log.open("rb") as file:
            file.seek(self.log_offset)
            return file.read()

    def last_words(self) -> str:
        """The last line that it wrote."""
        lines = self.said().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing").removeprefix(
            "error: "
        )

    async def end(self) -> None:
        """Tell it to end, and wait; by force when it does not."""
        if self.process is None or self.process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            self.process.terminate()
        try:
            async with asyncio.timeout(GRACE):
                await self.process.wait()
        except TimeoutError:
            warn(f"{self.name} did not end within {GRACE:g} s and is killed")
            with suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()


def _end_with_parent() -> None:
    """In the child, before it becomes its program: SIGTERM when the devstack dies, however that happens."""
    with suppress(OSError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


class Stack:
    """An orchestrator and its nodes. The first child is the orchestrator."""

    def __init__(self, context: Context, url: str, children: list[Child]) -> None:
        self.context = context
        self.url = url
        self.children = children
        self.is_ready = False
        self.leaving = asyncio.Event()

    async def run(self) -> int:
        """Keep everything running until SIGTERM or SIGINT; returns the exit code. Raises CommandError when it cannot start."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self.leaving.set)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._keep(child)) for child in self.children]
                tasks.append(group.create_task(self._announce()))
                await self.leaving.wait()
                for task in tasks:
                    task.cancel()
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        finally:
            await self._take_down()
        return ExitCode.OK

    async def _keep(self, child: Child) -> None:
        """Run a child, again and again."""
        pause = FIRST_PAUSE
        while True:
            process = await child.start()
            code = await process.wait()
            if time.monotonic() - child.began > HEALTHY:
                child.deaths, pause = 0, FIRST_PAUSE
            child.deaths += 1
            if not self.is_ready and (code == USAGE or child.deaths >= GIVE_UP):
                message = f"{child.name} ended with {_ending(code)}: {child.last_words()}"
                exit_code = ExitCode.USAGE if code == USAGE else ExitCode.FAILED
                raise CommandError(message, exit_code, hint=f"its log: {child.log}")
            why = f" ({child.last_words()})" if code > 0 else ""
            note(f"{child.name} ended with {_ending(code)}{why}; starting it again in {pause:.1f} s")
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _announce(self) -> None:
        """Say `ready` once every node holds a lease."""
        import msgspec

        from orchestrator.client import ClientError
        from tui.connect import client_of

        wanted = {child.name for child in self.children[1:]}
        async with client_of(msgspec.structs.replace(self.context.settings, url=self.url)) as client:
            while True:
                with suppress(ClientError):
                    nodes = (await client.nodes(status="connected")).nodes
                    if wanted <= {node.info.node_id for node in nodes}:
                        break
                await asyncio.sleep(0.1)
        self.is_ready = True
        if self.context.wants_json:
            self.context.output.json({"URL": self.url, "Nodes": sorted(wanted)})
        else:
            self.context.output.line(f"ready {self.url}")
        note(f"{counted(len(wanted), 'node')}; logs in {self.children[0].log.parent}; Ctrl-C ends all of it")

    async def _take_down(self) -> None:
        """End the agents, which end what they run, then the orchestrator. A dead agent is started once more to clean up."""
        orchestrator, *nodes = self.children
        for child in nodes:
            if self.is_ready and not child.is_running:
                await child.start()
        await asyncio.gather(*(self._take_up(child) for child in nodes))
        await asyncio.gather(*(child.end() for child in nodes))
        await orchestrator.end()

    async def _take_up(self, child: Child) -> None:
        """Wait until an agent knows what it, or one before it, left: told to end earlier, it would leave that behind."""
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE):
                while child.is_running and STARTED not in child.said():  # noqa: ASYNC110 - a file tells no one
                    await asyncio.sleep(0.1)


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"

"""Waiting for the end of a job: follow it, show it, say how it ended and what helps now."""

import asyncio
import sys
import time
from collections.abc import Sequence
from contextlib import aclosing, suppress
from typing import NoReturn

import msgspec

from orchestrator.client import ClientError, OrchestratorClient
from orchestrator.contract.ids import short
from orchestrator.contract.job import Job, JobStateType
from orchestrator.contract.partitions import PartitionState, state_word
from orchestrator.contract.selectors import format_ranges, parse_ranges
from tui.cli.context import Context
from tui.cli.diagnostics import CommandError, ExitCode, interrupted
from tui.cli.display import Display, InPlace, JsonLines, Lines, Silent
from tui.cli.output import Output
from tui.cli.printable import counted, printable
from tui.cli.progress import FailedAttempt, counts, failed_attempts, has_begun, why
from tui.feed import Delta, JobView, Offline, Online, Snapshot, follow

NAMED_FAILURES = 20
"""Of so many partitions at once the failed attempts are asked for and told one by one."""
TICK = 0.25
"""Seconds between ticks of the display."""
REASON_EVERY = 5.0
"""Seconds between questions why a job waits."""
QUEUED = "Job queued. "
"""How the message of a queued job begins; its state says that already."""
GROUPS_SHOWN = 5
RANGES_SHOWN = 60
"""Characters of a group's indices."""


class Wait:
    """One wait for one job. `run` returns when the job has ended."""

    def __init__(self, client: OrchestratorClient, job: str, display: Display, told: bytes) -> None:
        self.client = client
        self.job = job
        self.display = display
        self.view = JobView()
        self.told = bytearray(told)
        """Ordinal of the last attempt of each partition whose failure was told, or is an old story."""
        self.version = 0
        """Of the job, as told; another one counts its attempts anew."""
        self.is_offline = False
        self.next_question = 0.0

    async def run(self) -> JobView:
        """Follow the job to its end. Raises ClientError when the orchestrator refuses, or was never there."""
        try:
            async with asyncio.TaskGroup() as group:
                ticker = group.create_task(self._tick())
                await self._follow()
                ticker.cancel()
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        finally:
            self.display.close(self.view)
        return self.view

    async def _follow(self) -> None:
        async with aclosing(follow(self.client, self.job, self.view)) as events:
            async for event in events:
                await self._take(event)
                if self.view.is_terminal and not isinstance(event, Offline):
                    return

    async def _take(self, event: Snapshot | Delta | Offline | Online) -> None:
        match event:
            case Snapshot():
                if self.version and self.version != self.view.version:
                    self.told.clear()
                    self.display.reason(f"The job has version {self.view.version} now")
                self.version = self.view.version
                self.told = self.told.ljust(self.view.count, b"\0")
                await self._tell(range(self.view.count))
            case Delta(indices):
                await self._tell(indices)
            case Offline(reason, _):
                self.is_offline = True
                self.display.reason(f"{reason}; trying again, the job goes on meanwhile")
            case Online():
                self.is_offline = False
                self.display.reason("")

    async def _tell(self, indices: Sequence[int]) -> None:
        """Show what changed."""
        failed: list[int] = []
        failures: dict[int, list[FailedAttempt]] = {}
        if self.display.wants_failures:
            failed = [index for index in indices if self._failed_attempts(index) > self.told[index]]
            failures = {index: await self._ask(index) for index in failed[:NAMED_FAILURES]}
            for index in failed:
                self.told[index] = self._failed_attempts(index)
        if has_begun(self.view) and not self.is_offline:
            self.display.reason("")
        self.display.update(self.view, indices, failures, len(failed[NAMED_FAILURES:]))

    def _failed_attempts(self, index: int) -> int:
        """How many attempts of a partition have failed, as far as its state tells."""
        is_failed = self.view.states[index] in (PartitionState.RETRYING, PartitionState.FAILED)
        return self.view.attempts[index] if is_failed else max(self.view.attempts[index] - 1, 0)

    async def _ask(self, index: int) -> list[FailedAttempt]:
        is_failed = self.view.states[index] == PartitionState.FAILED
        try:
            detail = await self.client.partition(self.view.job_id, index)
        except ClientError:
            return []  # its state is shown all the same, and `failures` has it at the end
        return failed_attempts(index, detail.attempts, self.told[index], is_failed=is_failed)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            if self.view.cursor:
                self.display.tick(self.view)
                await self._ask_reason()

    async def _ask_reason(self) -> None:
        """Why nothing of the job runs: its own message, else what `explain` answers."""
        view = self.view
        is_waiting = view.number(PartitionState.WAITING) > 0 and not has_begun(view) and not view.is_terminal
        if (
            not is_waiting
            or self.is_offline
            or not self.display.wants_failures
            or time.monotonic() < self.next_question
        ):
            return
        self.next_question = time.monotonic() + REASON_EVERY
        reason = view.job_message.removeprefix(QUEUED)
        if not reason:
            with suppress(ClientError):
                explanations = await self.client.explain(view.job_id)
                reason = next((item.reason for item in explanations.items), "")
        if reason and not has_begun(view) and not view.is_terminal:
            self.display.reason(f"{view.job_state}: {reason}")


class End(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The last line of a wait under `--json`."""

    job_id: str = msgspec.field(name="JobID")
    state: str
    summary: dict[str, int]
    exit_code: int


async def wait_for(
    context: Context,
    client: OrchestratorClient,
    job: str,
    *,
    patience: float,
    progress: Output | None = None,
    is_quiet: bool = False,
    told: bytes = b"",
) -> ExitCode:
    """Wait for a job, showing it on `progress` (stdout unless given), and say how it ended; returns the exit code.

    `patience` in seconds, 0 = none; over: exit 124. `is_quiet` shows only the end, on stderr. `told` = up to
    which attempt of each partition failures are an old story.
    Ctrl-C leaves the job running and names the verb that goes on waiting.
    """
    output = progress or (Output(sys.stderr) if is_quiet else context.output)
    waiting = Wait(client, job, _display(context, None if is_quiet else output), told)
    try:
        async with asyncio.timeout(patience or None):
            view = await waiting.run()
    except TimeoutError:
        _timed_out(job, patience)
    except asyncio.CancelledError as error:
        raise interrupted(job) from error
    exit_code = ExitCode.OK if view.job_state == JobStateType.COMPLETED else ExitCode.FAILED
    if context.wants_json:
        context.output.json(
            End(job_id=view.job_id, state=view.job_state, summary=view.summary, exit_code=int(exit_code))
        )
    else:
        await tell_end(client, view, output)
    return exit_code


def _display(context: Context, output: Output | None) -> Display:
    if context.wants_json:
        return JsonLines(context.output)
    if output is None:
        return Silent()
    return InPlace(output) if output.is_terminal else Lines(output)


def _timed_out(job: str, patience: float) -> NoReturn:
    message = f"the job has not ended within {patience:g} s; it goes on"
    raise CommandError(message, ExitCode.TIMED_OUT, hint=f"to wait for it again: shoal job wait {job}")


async def tell_end(client: OrchestratorClient, view: JobView, output: Output) -> None:
    """Counts, failures by cause and message, and the two commands that help now."""
    job = short(view.job_id) if output.is_terminal else view.job_id
    message = f" ({printable(view.job_message)})" if view.job_message and view.job_state != "Completed" else ""
    output.line()
    output.line(f"{output.coloured(view.job_state)}: {counts(view)}{message}")
    if view.number(PartitionState.FAILED) or view.job_state == JobStateType.FAILED:
        with suppress(ClientError):
            for line in await failure_lines(client, view):
                output.line(line)
    commands = _commands(job, view, await _job(client, view.job_id))
    width = max(len(purpose) for purpose, _ in commands)
    output.line()
    for purpose, command in commands:
        output.line(f"{purpose + ':':<{width + 1}} {command}")


async def failure_lines(client: OrchestratorClient, view: JobView) -> list[str]:
    """`  2 partitions (3,7): exit 7: boom`: the largest groups of partitions that are failed now."""
    lines = []
    for group in (await client.failures(view.job_id)).items:
        of_group = [index for part in parse_ranges(group.partitions) for index in part if index < view.count]
        failed = [index for index in of_group if view.states[index] == PartitionState.FAILED]
        if failed:
            told = why(group.cause, group.exit_code, group.sample.message or group.message)
            lines.append(f"  {counted(len(failed), 'partition')} ({_brief(format_ranges(failed))}): {told}")
    if len(lines) > GROUPS_SHOWN:
        more = f"  ... and {len(lines) - GROUPS_SHOWN} more kinds of failure: shoal job failures {view.job_id}"
        lines[GROUPS_SHOWN:] = [more]
    return lines


def _brief(ranges: str) -> str:
    """Ranges of indices, cut after a comma when there are very many."""
    return ranges if len(ranges) <= RANGES_SHOWN else ranges[: ranges.rfind(",", 0, RANGES_SHOWN) + 1] + "..."


async def tell_nodes(client: OrchestratorClient, job: str, output: Output) -> None:
    """How many partitions each node had last, by state."""
    grid = await client.grid(job)
    view = JobView()
    view.load(grid)
    seen: dict[str, dict[str, int]] = {}
    for index, state in enumerate(view.states):
        by_state = seen.setdefault(view.node_of(index) or "(no node)", {})
        by_state[state_word(state)] = by_state.get(state_word(state), 0) + 1
    output.line()
    output.line("Job Results By Node:")
    for node, by_state in sorted(seen.items()):
        told = ", ".join(f"{number} {word}" for word, number in by_state.items())
        output.line(f"  {printable(node)}: {told}")


async def _job(client: OrchestratorClient, job: str) -> Job | None:
    with suppress(ClientError):
        return (await client.job(job)).job
    return None


def _commands(job: str, view: JobView, record: Job | None) -> list[tuple[str, str]]:
    if view.number(PartitionState.FAILED):
        return [
            ("What the failed ones wrote", f"shoal job logs {job} --select failed"),
            ("To run them again", f"shoal job retry {job} --failed"),
        ]
    if view.job_state != JobStateType.COMPLETED:
        return [
            ("More about it", f"shoal job describe {job}"),
            ("To go on with it", f"shoal job retry {job} --select stopped"),
        ]
    last = ("More about it", f"shoal job describe {job}")
    if record is not None and record.task.publisher.type:
        last = ("To get the results", f"shoal job get {job}")
    return [("What it wrote", f"shoal job logs {job}"), last]

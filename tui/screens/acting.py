"""Retry and stop: the dialog says what would happen, as the server counts it, before anything does."""

import contextlib
from collections import Counter
from collections.abc import Sequence

import msgspec
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Input

from orchestrator.client import ClientError
from orchestrator.contract.partitions import UNSETTLED_WORDS, ActionResult
from tui.background import begin
from tui.model.jobs import JobLine
from tui.model.moments import counted
from tui.places import Focus
from tui.screens.dialogs import BOX, Dialog
from tui.widgets.choice import Choice
from tui.widgets.lines import Lines, Piece
from tui.widgets.retry_fields import Hint, Overrides, RetryFields

MANY = 1_000
"""From more partitions on, the job's name has to be typed."""
REASON = "stopped in the terminal UI"


class Deed(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done to which partitions."""

    verb: str
    """`retry`, `stop`, and of whole jobs `suspend` and `resume`."""
    focus: Focus
    select: str
    """A selection; `all` = the whole job."""
    scope: str
    """What that is, for people: `partition 2917`, `12 marked partitions`."""
    is_whole_job: bool = False
    others: tuple[Focus, ...] = ()
    """Further jobs to which the same is done."""
    hint: Hint = Hint()
    """Of a retry: what went wrong, as far as it is one thing."""


EFFECTS = {
    "retry": "Fresh attempts; earlier ones and their logs are kept.",
    "stop": "What runs is ended; what is completed is kept.",
    "suspend": "What runs goes on, what has not begun is taken back.",
    "resume": "What waits is placed again as there is room.",
}
"""What happens to partitions, by verb."""
NOTHING = {"retry": "has failed or was stopped"}
"""What there is nothing of; of the other verbs: nothing is unfinished."""


def on_jobs(verb: str, lines: Sequence[JobLine]) -> Deed:
    """What is done to whole jobs, those under the cursor or all that are marked."""
    first, *others = (Focus(job_id=line.id, job_name=line.name) for line in lines)
    scope = f"{len(lines)} marked jobs" if others else "the whole job"
    return Deed(verb=verb, focus=first, select="all", scope=scope, is_whole_job=True, others=tuple(others))


class ActDialog(Dialog):
    """Gives whether it was done."""

    DEFAULT_CSS = f"""
    ActDialog #box {{ {BOX} }}
    ActDialog #what {{ height: 1; }}
    ActDialog #effect {{ height: 4; margin: 1 0 0 0; }}
    ActDialog #box Horizontal {{ height: 1; margin: 1 0 0 0; }}
    ActDialog #name {{ height: 1; border: none; background: $panel; padding: 0 1; margin: 1 0 0 0; display: none; }}
    ActDialog #name.-asked {{ display: block; }}
    """

    def __init__(self, deed: Deed) -> None:
        super().__init__()
        self.deed = deed
        self.jobs = (deed.focus, *deed.others)
        """Where it was not done yet."""
        self.counted: dict[str, ActionResult] = {}
        """What it would take, by job; empty = not counted yet."""
        self.includes_completed = False
        self._done = 0
        self._was: tuple[Focus, int] | None = None
        """The job of which it would take another number than was said, and that number."""
        self._is_busy = False

    def compose(self) -> ComposeResult:
        """What, its effect, the name to type, the answers."""
        with Vertical(id="box"):
            yield Lines(id="what")
            yield Lines(id="effect")
            if self.deed.verb == "retry":
                yield RetryFields()
            yield Input(placeholder="type the name of the job", id="name")
            with Horizontal():
                yield Choice("Cancel", id="cancel")
                yield Choice(self.deed.verb.capitalize(), id="accept")

    def on_mount(self) -> None:
        """Count first."""
        self._show()
        begin(self, "acting", self._count)
        if self.deed.verb == "retry" and not self.deed.others:
            begin(self, "suggest", self._suggest)

    async def _suggest(self) -> None:
        with contextlib.suppress(ClientError):
            job = (await self.shoal.client.job(self.deed.focus.job_id)).job
            self.query_one(RetryFields).suggest(job, self.deed.hint)

    async def _count(self) -> None:
        try:
            self.counted = {job.job_id: await self._act(job, is_dry=True) for job in self.jobs}
        except ClientError as error:
            self.shoal.tell(f"{self.deed.verb}: {error.message}", severity="error")
            _ = self.dismiss(self._done > 0)
            return
        if not self.count and not self.includes_completed:
            nothing = NOTHING.get(self.deed.verb, "is unfinished")
            self.shoal.tell(f"{self.deed.verb}: {self._changed()}nothing in {self.deed.scope} {nothing}")
            _ = self.dismiss(self._done > 0)
            return
        self._show()

    def _changed(self) -> str:
        """What is different from what was said before."""
        if self._was is None:
            return ""
        job, before = self._was
        return f"{job.job_name}: {before:,} were counted, {self.counted[job.job_id].count:,} it is now. "

    @property
    def count(self) -> int:
        """Partitions that it would take, in all jobs."""
        return sum(found.count for found in self.counted.values())

    async def _act(self, job: Focus, *, is_dry: bool) -> ActionResult:
        client, deed = self.shoal.client, self.deed
        known = None if is_dry else self.counted[job.job_id]
        if_cursor = known.cursor if known is not None else ""
        if deed.verb == "retry":
            more = Overrides() if is_dry else self.query_one(RetryFields).chosen()
            return await client.retry_partitions(
                job.job_id,
                deed.select,
                include_completed=self.includes_completed,
                dry_run=is_dry,
                if_cursor=if_cursor,
                **more,
            )
        if deed.verb in ("suspend", "resume") and known is None:
            counts = {state.lower(): number for state, number in (await client.grid(job.job_id)).summary.items()}
            states = {word: number for word, number in counts.items() if word in UNSETTLED_WORDS}
            return ActionResult(count=sum(states.values()), by_state=states, cursor="")
        if deed.verb == "suspend":
            await client.suspend(job.job_id)
        elif deed.verb == "resume":
            await client.resume(job.job_id)
        elif deed.is_whole_job and known is not None:
            await client.stop(job.job_id, REASON, if_cursor=if_cursor)
        if deed.is_whole_job and known is not None:
            return known
        return await client.stop_partitions(job.job_id, deed.select, REASON, dry_run=is_dry, if_cursor=if_cursor)

    def _show(self) -> None:
        deed, verb = self.deed, self.deed.verb.capitalize()
        if not self.counted:
            self.query_one("#what", Lines).show([[(f"{verb} {deed.scope} of {self.name_of_all}", "title")]])
            self.query_one("#effect", Lines).show([[("counting …", "muted")]])
            return
        count = self.count
        title = f"{verb} {counted(count, 'partition')} of {self.name_of_all}"
        self.query_one("#what", Lines).show([[(title, "title")]])
        by_state: Counter[str] = Counter()
        for found in self.counted.values():
            by_state.update(found.by_state)
        states = ", ".join(f"{number:,} {word}" for word, number in sorted(by_state.items()))
        lines: list[list[Piece]] = [[(f"target: {deed.scope}", ""), (f"  now: {states}" if states else "", "muted")]]
        lines.append([(EFFECTS[deed.verb], "muted")])
        if deed.verb == "retry":
            tick = "[x]" if self.includes_completed else "[ ]"
            lines.append([("i ", "key"), (f"{tick} include completed ones", "muted")])
        elif deed.verb == "stop":
            ends = "Each job ends Stopped." if deed.others else "The job ends Stopped."
            lines.append([(ends if deed.is_whole_job else "The rest of the job goes on.", "muted")])
        if self._was is not None:
            lines.append([(f"{self._changed()}Is it still meant?", "running")])
        elif deed.others:
            each = ", ".join(
                f"{job.job_name} {self.counted[job.job_id].count:,}" for job in self.jobs if job.job_id in self.counted
            )
            lines.append([(each, "muted")])
        self.query_one("#effect", Lines).show(lines)
        self.query_one("#accept", Choice).name_it(f"{verb} {count:,}")
        typed = self.query_one("#name", Input)
        typed.set_class(self._asks_for_name(), "-asked")
        typed.placeholder = f"type {self.name_of_all}" if deed.others else "type the name of the job"

    @property
    def name_of_all(self) -> str:
        """The job's name, or how many jobs."""
        return f"{len(self.jobs)} jobs" if self.deed.others else self.deed.focus.job_name or self.deed.focus.job_id

    def _asks_for_name(self) -> bool:
        return self.count > MANY or self.shoal.options.is_protected

    def _is_sure(self) -> bool:
        if not self.count:
            return False
        typed = self.query_one("#name", Input)
        if self._asks_for_name() and typed.value.strip() != self.name_of_all:
            typed.focus()
            return False
        return True

    async def _do(self) -> None:
        job = self.deed.focus
        try:
            for job in self.jobs:
                if self.counted[job.job_id].count:
                    self._done += (await self._act(job, is_dry=False)).count
                self.jobs = self.jobs[1:]
        except ValueError as error:
            self.shoal.tell(str(error), severity="error")
            self._is_busy = False
        except ClientError as error:
            self._is_busy = False
            if error.code != "CountChanged":
                of = f" of {job.job_name}" if self.deed.others else ""
                self.shoal.tell(f"{self.deed.verb}{of}: {error.message}", severity="error")
                return
            self._was = job, self.counted[job.job_id].count
            await self._count()
        else:
            of = f"{1 + len(self.deed.others)} jobs" if self.deed.others else self.deed.focus.job_name
            self.shoal.tell(f"{self.deed.verb}: {counted(self._done, 'partition')} of {of}")
            _ = self.dismiss(True)  # noqa: FBT003

    def action_accept(self) -> None:
        """Do it, once."""
        if not self._is_busy and self._is_sure():
            self._is_busy = True
            begin(self, "acting", self._do)

    def action_toggle_completed(self) -> None:
        """Also what is completed already: count again."""
        if self._is_busy:
            return
        self.includes_completed = not self.includes_completed
        begin(self, "acting", self._count)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only a retry can include what is completed."""
        return self.deed.verb == "retry" if action == "toggle_completed" else super().check_action(action, parameters)

"""Retry and stop: the dialog says what would happen, as the server counts it, before anything does."""

import contextlib

import msgspec
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Input

from orchestrator.client import ClientError
from orchestrator.contract.partitions import ActionResult
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
    """`retry` or `stop`."""
    focus: Focus
    select: str
    """A selection; `all` = the whole job."""
    scope: str
    """What that is, for people: `partition 2917`, `12 marked partitions`."""
    is_whole_job: bool = False
    hint: Hint = Hint()
    """Of a retry: what went wrong, as far as it is one thing."""


class ActDialog(Dialog):
    """Gives whether it was done."""

    DEFAULT_CSS = f"""
    ActDialog #box {{ {BOX} }}
    ActDialog #what {{ height: 1; }}
    ActDialog #effect {{ height: 3; margin: 1 0 0 0; }}
    ActDialog #box Horizontal {{ height: 1; margin: 1 0 0 0; }}
    ActDialog #name {{ height: 1; border: none; background: $panel; padding: 0 1; margin: 1 0 0 0; display: none; }}
    ActDialog #name.-asked {{ display: block; }}
    """

    def __init__(self, deed: Deed) -> None:
        super().__init__()
        self.deed = deed
        self.counted: ActionResult | None = None
        self.includes_completed = False
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
        self.run_worker(self._count(), group="acting", exclusive=True, exit_on_error=False)
        if self.deed.verb == "retry":
            self.run_worker(self._suggest(), group="suggest", exclusive=True, exit_on_error=False)

    async def _suggest(self) -> None:
        with contextlib.suppress(ClientError):
            job = (await self.shoal.client.job(self.deed.focus.job_id)).job
            self.query_one(RetryFields).suggest(job, self.deed.hint)

    async def _count(self) -> None:
        try:
            self.counted = await self._act(is_dry=True)
        except ClientError as error:
            self.shoal.tell(f"{self.deed.verb}: {error.message}", severity="error")
            _ = self.dismiss(False)  # noqa: FBT003
            return
        if self.counted.count == 0 and not self.includes_completed:
            nothing = "has failed or was stopped" if self.deed.verb == "retry" else "is unfinished"
            self.shoal.tell(f"{self.deed.verb}: nothing in {self.deed.scope} {nothing}")
            _ = self.dismiss(False)  # noqa: FBT003
            return
        self._show()

    async def _act(self, *, is_dry: bool) -> ActionResult:
        client, deed = self.shoal.client, self.deed
        if deed.verb == "retry":
            more = Overrides() if is_dry else self.query_one(RetryFields).chosen()
            return await client.retry_partitions(
                deed.focus.job_id,
                deed.select,
                include_completed=self.includes_completed,
                dry_run=is_dry,
                if_cursor="" if is_dry or self.counted is None else self.counted.cursor,
                **more,
            )
        if deed.is_whole_job and not is_dry:
            await client.stop(deed.focus.job_id, REASON)
            assert self.counted is not None
            return self.counted
        return await client.stop_partitions(deed.focus.job_id, deed.select, REASON, dry_run=is_dry)

    def _show(self) -> None:
        deed, found = self.deed, self.counted
        verb = deed.verb.capitalize()
        name = deed.focus.job_name or deed.focus.job_id
        if found is None:
            self.query_one("#what", Lines).show([[(f"{verb} {deed.scope} of {name}", "title")]])
            self.query_one("#effect", Lines).show([[("counting …", "muted")]])
            return
        title = f"{verb} {counted(found.count, 'partition')} of {name}"
        self.query_one("#what", Lines).show([[(title, "title")]])
        states = ", ".join(f"{number:,} {word}" for word, number in sorted(found.by_state.items()))
        lines: list[list[Piece]] = [[(f"target: {deed.scope}", ""), (f"  now: {states}" if states else "", "muted")]]
        if deed.verb == "retry":
            tick = "[x]" if self.includes_completed else "[ ]"
            lines.append([("Fresh attempts; earlier ones and their logs are kept.", "muted")])
            lines.append([("i ", "key"), (f"{tick} include completed ones", "muted")])
        else:
            lines.append([("What runs is ended; what is completed is kept.", "muted")])
            lines.append([("The job ends Stopped." if deed.is_whole_job else "The rest of the job goes on.", "muted")])
        self.query_one("#effect", Lines).show(lines)
        self.query_one("#accept", Choice).name_it(f"{verb} {found.count:,}")
        if self._asks_for_name(found):
            self.query_one("#name", Input).add_class("-asked")

    def _asks_for_name(self, found: ActionResult) -> bool:
        return found.count > MANY or self.shoal.options.is_protected

    def _is_sure(self) -> bool:
        if self.counted is None or self.counted.count == 0:
            return False
        typed = self.query_one("#name", Input)
        if self._asks_for_name(self.counted) and typed.value.strip() != (
            self.deed.focus.job_name or self.deed.focus.job_id
        ):
            typed.focus()
            return False
        return True

    async def _do(self) -> None:
        try:
            done = await self._act(is_dry=False)
        except ValueError as error:
            self.shoal.tell(str(error), severity="error")
            self._is_busy = False
        except ClientError as error:
            self.shoal.tell(f"{self.deed.verb}: {error.message}", severity="error")
            self._is_busy = False
            if error.code == "CountChanged":
                await self._count()
        else:
            self.shoal.tell(f"{self.deed.verb}: {counted(done.count, 'partition')} of {self.deed.focus.job_name}")
            _ = self.dismiss(True)  # noqa: FBT003

    def action_accept(self) -> None:
        """Do it, once."""
        if not self._is_busy and self._is_sure():
            self._is_busy = True
            self.run_worker(self._do(), group="acting", exclusive=True, exit_on_error=False)

    def action_toggle_completed(self) -> None:
        """Also what is completed already: count again."""
        self.includes_completed = not self.includes_completed
        self.run_worker(self._count(), group="acting", exclusive=True, exit_on_error=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only a retry can include what is completed."""
        return self.deed.verb == "retry" if action == "toggle_completed" else super().check_action(action, parameters)

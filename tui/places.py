"""Where one can go: every screen by its id, with the names that the command bar knows. A screen is imported when it is opened.

To add one: write `tui/screens/NAME.py` with a `Page` whose constructor takes a `Focus`, and add a line to PLACES.
"""

import importlib
from typing import TYPE_CHECKING, cast

import msgspec

if TYPE_CHECKING:
    from orchestrator.contract.partitions import Attempt
    from tui.screens.page import Page


class Focus(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator is looking at: a job, perhaps a partition of it, perhaps one of its attempts."""

    job_id: str = ""
    job_name: str = ""
    partition: int = -1
    """-1 = the whole job."""
    attempt: int = 0
    """0 = the last."""
    node_id: str = ""
    argument: str = ""
    """What followed the command in the command bar."""

    def on(self, attempt: "Attempt | None") -> "Focus":
        """One attempt at the partition, None = its last, wherever that ran."""
        return Focus(
            job_id=self.job_id,
            job_name=self.job_name,
            partition=self.partition,
            attempt=attempt.attempt if attempt else 0,
            node_id=attempt.node_id if attempt else "",
        )


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A screen that can be opened."""

    id: str
    title: str
    where: str
    """`module:Class` below `tui.screens`."""
    commands: tuple[str, ...] = ()
    """Names in the command bar, the first is shown."""
    needs: str = ""
    """What has to be in focus: `job`, `partition`, or nothing."""


PLACES = {
    place.id: place
    for place in (
        Place(id="job", title="Job", where="job:JobPage", needs="job"),
        Place(id="partition", title="Partition", where="partition:PartitionPage", needs="partition"),
        Place(id="log", title="Log", where="log:LogPage", needs="partition", commands=("log",)),
        Place(id="matches", title="Job", where="matches:MatchesPage", needs="job"),
        Place(id="errors", title="Errors", where="errors:ErrorsPage", needs="job", commands=("errors",)),
        Place(id="nodes", title="Nodes", where="nodes:NodesPage", commands=("nodes",)),
        Place(id="node", title="Node", where="node:NodePage", commands=("node",)),
        Place(id="profiles", title="Profiles", where="profiles:ProfilesPage", commands=("profile", "profiles")),
        Place(id="find", title="Find", where="find:FindPage", needs="job", commands=("find",)),
        Place(id="compose", title="Compose", where="compose:ComposePage", commands=("compose",)),
        Place(id="logs", title="Logs of all", where="logs_all:LogsPage", needs="job", commands=("logs",)),
        Place(id="compare", title="Compare", where="compare:ComparePage", needs="partition", commands=("compare",)),
        Place(id="events", title="Events", where="events:EventsPage", commands=("events",)),
    )
}


def is_open_to(place_id: str, focus: Focus) -> bool:
    """Whether a screen exists and has what it needs."""
    place = PLACES.get(place_id)
    if place is None:
        return False
    return not (place.needs and not focus.job_id) and not (place.needs == "partition" and focus.partition < 0)


def make(place_id: str, focus: Focus) -> "Page":
    """The screen of a place, for what is in focus."""
    module, _, name = PLACES[place_id].where.partition(":")
    made = getattr(importlib.import_module(f"tui.screens.{module}"), name)
    return cast("Page", made(focus))

"""Profiles: other orchestrators, and switching to one while the UI stays open."""

from collections.abc import Mapping, Sequence

import msgspec

from tui import profiles
from tui.background import begin
from tui.bindings import bindings
from tui.connect import client_of
from tui.model.link import Link
from tui.overview import Overview
from tui.places import Focus
from tui.profiles import Profile
from tui.rights import Rights
from tui.screens.list_page import ListPage
from tui.settings import SettingsError
from tui.styles.themes import NAMES
from tui.widgets.lines import Piece
from tui.widgets.table import Cell, Column, Table


class ProfilesPage(ListPage[Profile], inherit_bindings=False):
    """Enter goes there. `:profile NAME` goes at once."""

    BINDINGS = bindings("page", "list", "profiles")
    NOUN = "profile"
    EMPTY = "no profiles yet: n adds one, or write profiles.yaml"
    PERIOD = 5.0
    COLUMNS = (
        Column(title="PROFILE", width=16, flexible=True),
        Column(title="ADDRESS", width=28, flexible=True),
        Column(title="", width=22),
    )

    def crumbs(self) -> Sequence[str]:
        """Profiles."""
        return ("profiles",)

    async def fetch(self) -> list[Profile]:
        """Those of the file, and the one in force."""
        options = self.shoal.options
        found, problems = profiles.read(options.settings.home)
        self.problem_text = "; ".join(problems)
        if options.profile not in [one.name for one in found]:
            here = Profile(
                name=options.profile,
                url=options.settings.url,
                token=options.settings.token,
                read_only=options.read_only,
            )
            found.insert(0, here)
        return found

    def take(self, rows: list[Profile]) -> None:
        """With a name after `:profile`: go there."""
        is_first = not self.is_known
        super().take(rows)
        wanted = self.at.argument
        if is_first and wanted:
            chosen = next((one for one in rows if one.name == wanted), None)
            if chosen is None:
                self.shoal.tell(f"profile: no {wanted!r}; there are {', '.join(one.name for one in rows)}")
            else:
                self.switch(chosen)

    def headline(self) -> list[Piece]:
        """What of the file cannot be used."""
        text = getattr(self, "problem_text", "")
        return [(f" {text}", "failed")] if text else [("", "")]

    def key(self, row: Profile) -> str:
        """Its name."""
        return row.name

    def plain(self, row: Profile) -> Mapping[str, object]:
        """Without the token."""
        return {"name": row.name, "url": row.url, "read-only": row.read_only, "protected": row.protected}

    def cells(self, row: int) -> Sequence[Cell]:
        """A profile."""
        one = self.rows[row]
        is_here = one.name == self.shoal.options.profile
        flags = " ".join(
            word
            for word, holds in (("here", is_here), ("read-only", one.read_only), ("protected", one.protected))
            if holds
        )
        return ([(one.name, "title")], one.url, [(flags, "running" if one.protected else "muted")])

    def focus_now(self) -> Focus:
        """Nothing of a cluster."""
        return Focus()

    def on_table_opened(self, _: Table.Opened) -> None:
        """Go there."""
        if self.row is not None:
            self.switch(self.row)

    def switch(self, profile: Profile) -> None:
        """Leave this orchestrator for another one: everything that was known is forgotten."""
        app = self.shoal
        before = app.client
        left = next((one.theme for one in self.rows if one.name == app.options.profile), "")
        settings = profiles.settings_of(profile, app.options.settings)
        app.options = msgspec.structs.replace(
            app.options,
            settings=settings,
            source=f"profile {profile.name}",
            profile=profile.name,
            is_protected=profile.protected,
            read_only=profile.read_only or app.options.is_read_only_asked,
        )
        app.client = client_of(settings)
        app.link, app.overview, app.rights, app.mark = Link(), Overview(), Rights(), None
        if not app.has_no_color and (profile.theme or app.theme == left):
            asked = app.options.theme
            app.theme = profile.theme or (asked if asked != left else NAMES[0])
        app.go_home()
        app.reconnect()
        begin(app, "", before.http.aclose)
        app.tell(f"profile {profile.name}: {profile.url}")

    def action_new(self) -> None:
        """Ask for a name and an address."""
        self.prompt.ask("profile", "new profile: NAME URL ")

    def take_text(self, kind: str, text: str) -> None:
        """Add a profile."""
        if kind != "profile":
            return
        name, _, url = text.strip().partition(" ")
        try:
            profiles.add(self.shoal.options.settings.home, name, url.strip())
        except (SettingsError, OSError) as error:
            raise ValueError(str(error)) from error
        self.ask()

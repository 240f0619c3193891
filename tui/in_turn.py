"""Keys and pastes one after the other: what one of them does is done before the next one looks for the focus.

Textual gives a key to the queue of the widget that has the focus, which asks for its binding later. On a slow line several
arrive together: then text behind a tab would go where the focus was, and an enter behind an arrow would press another button.
"""

import asyncio
from collections import deque
from typing import TypeVar

from textual.app import App
from textual.events import Event, Key, Paste
from textual.message import Message

R = TypeVar("R")
LONGEST = 0.5
"""Seconds that a key may take until the next one has its turn all the same."""


class Handled(Message, verbose=True):
    """Goes behind a key wherever that goes; when it has come up to the app, the key has acted."""

    def __init__(self, turn: int) -> None:
        super().__init__()
        self.turn = turn


class InTurn(App[R], inherit_bindings=False):
    """An app that waits for a key to act before it gives out the next one."""

    def __init__(self, *, ansi_color: bool | None = None) -> None:
        super().__init__(ansi_color=ansi_color)
        self._typed: deque[Key | Paste] = deque()
        self._turn = 0
        self._is_taken = False

    async def on_event(self, event: Event) -> None:
        """Keys and pastes wait for their turn."""
        if isinstance(event, Key | Paste) and not event.is_forwarded:
            self._typed.append(event)
            await self._give_out()
        else:
            await super().on_event(event)

    async def on_handled(self, message: Handled) -> None:
        """The next one."""
        if message.turn == self._turn:
            self._is_taken = False
            await self._give_out()

    def type_first(self, *keys: Key) -> None:
        """Keys that come before all that wait."""
        self._typed.extendleft(reversed(keys))

    async def _give_out(self) -> None:
        while self._typed and not self._is_taken:
            event = self._typed.popleft()
            self._turn += 1
            self._is_taken = True
            await super().on_event(event)
            target = self.focused or self.screen
            self._is_taken = event.is_forwarded and target.post_message(Handled(self._turn))
            if self._is_taken:  # it may be lost on its way through a screen that closes
                asyncio.get_running_loop().call_later(LONGEST, self.post_message, Handled(self._turn))

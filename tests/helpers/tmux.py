"""A program on a real terminal of tmux, on a socket of its own: keys go in, the screen comes out."""

import os
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.helpers.processes import wait_until


class Tmux:
    """One window of a size. `end` ends only what was started here."""

    def __init__(
        self, argv: Sequence[str], environ: Mapping[str, str], directory: Path, size: tuple[int, int] = (120, 40)
    ) -> None:
        self.socket = f"shoal-{uuid.uuid4().hex[:8]}"
        self.environ = {**os.environ, **environ, "LC_ALL": "C.UTF-8"}
        self.environ.pop("NO_COLOR", None)
        self.environ.pop("TMUX", None)
        self.keys = 0
        """How many were pressed."""
        width, height = size
        self._run("new-session", "-d", "-x", str(width), "-y", str(height), "-c", str(directory), *argv)
        self._run("set-option", "-g", "remain-on-exit", "on")

    def _run(self, *words: str) -> str:
        done = subprocess.run(
            ["tmux", "-L", self.socket, "-f", "/dev/null", "-u", *words],
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout

    def screen(self) -> str:
        """What is on the screen, as text."""
        return self._run("capture-pane", "-p")

    def press(self, *keys: str) -> None:
        """Press keys, by tmux's names (`Enter`, `F4`, `Right`)."""
        self.keys += len(keys)
        self._run("send-keys", *keys)

    def type(self, text: str) -> None:
        """Type a text."""
        self.keys += len(text)
        self._run("send-keys", "-l", text)

    def shows(self, *texts: str, within: float = 30.0) -> str:
        """Wait until all texts are on the screen; gives the screen."""
        seen = ""

        def has_all() -> bool:
            nonlocal seen
            seen = self.screen()
            return all(text in seen for text in texts)

        try:
            wait_until(has_all, within, "")
        except AssertionError as error:
            message = f"never: {texts} on the screen\n{seen}"
            raise AssertionError(message) from error
        return seen

    def end(self) -> None:
        """End the terminal and what runs in it."""
        self._run("kill-server")

"""`serve` and `node run`: the process becomes the orchestrator or the node agent, so that the CLI imports neither."""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

MODULES = {("serve",): ("orchestrator",), ("node", "run"): ("node",), ("tui",): ("tui", "tui")}


def pass_on(path: tuple[str, ...], args: Sequence[str]) -> NoReturn:
    """Become the program that a verb stands for, with the flags as they were given. Does not return."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", *MODULES[path], *args])  # noqa: S606 - our own interpreter and module

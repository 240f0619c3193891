"""What an input source promises. tests/unit/node/test_inputs.py shows what each source keeps of it."""

from pathlib import Path
from typing import Protocol

from node.engines.base import Mount
from orchestrator.contract.job import InputSource as Wanted


class InputError(Exception):
    """The input cannot be had: the message tells which and why. The attempt failed, cause `input`."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InputSource(Protocol):
    """Puts the data of one kind of source where an engine can mount it."""

    names: tuple[str, ...]
    """The types in a job that it serves, lower case."""

    async def prepare(self, wanted: Wanted, directory: Path) -> Mount:
        """What to mount at `wanted.target`. What has to be made is made below `directory`, which does not exist yet.

        Raises InputError. Cancelled: what was made stays in `directory` and goes with the execution's own.
        """

"""What a publisher promises. tests/integration/test_agent.py shows it."""

from pathlib import Path
from typing import Protocol

import msgspec

from orchestrator.contract.ids import ExecutionId
from orchestrator.contract.job import SpecConfig


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """What one successful execution leaves."""

    execution_id: ExecutionId
    index: int
    stdout: Path
    stderr: Path
    exit_code: int
    outputs: tuple[tuple[str, Path], ...]
    """Name and directory of each result path."""
    directory: Path
    """The execution's own: a publisher may make files there."""


class PublishError(Exception):
    """The results could not be stored."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Publisher(Protocol):
    """Stores results in one kind of place."""

    async def publish(self, results: Results, publisher: SpecConfig) -> SpecConfig:
        """Store them, again and again if need be; gives where they are. Storing the same execution twice is storing it once.

        Raises PublishError when it is no use to go on; the caller limits the time and cancels.
        """

"""The work directories of a node's executions: `executions/<id>`, with `work`, `stdout`, `stderr`, and what else is needed.

Making and deleting files can cost a file system more than starting a program does. So a directory that an execution left with
nothing of its own in it lies ready, emptied, in `spare`, and the next execution gets it under a new name.
"""

import os
import shutil
import stat
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from node.engines.base import Mount
from node.engines.bubblewrap import STATUS
from node.engines.layout import WORK
from orchestrator.contract.ids import ExecutionId
from orchestrator.contract.job import ResultPath

FILES = ("stdout", "stderr", STATUS)
"""What a directory may hold to be used again, beside an empty `WORK`; each a file that nobody else can name or read."""
MOST_SPARE = 4096
"""More than a node of few cores ends in the seconds until they can be used again."""
PRIVATE, PUBLIC = stat.S_IFREG | 0o600, 0o777


class WorkDirectories:
    """Makes work directories below `directory` and takes them back. Made in the event loop: threads would wait for each other.

    Raises OSError.
    """

    def __init__(self, directory: Path) -> None:
        self._executions = directory / "executions"
        self._spares = directory / "spare"
        self._spare: deque[str] = deque()
        for place in (self._executions, self._spares):
            place.mkdir(parents=True, exist_ok=True)
        self._mode = self._spares.lstat().st_mode

    def of(self, execution_id: ExecutionId) -> Path:
        """The work directory of an execution, whether it exists or not."""
        return self._executions / execution_id

    def make(self, execution_id: ExecutionId, results: Sequence[ResultPath]) -> tuple[Mount, ...]:
        """Make one, with an empty place for each result. Raises OSError."""
        directory = self.of(execution_id)
        try:
            os.rename(f"{self._spares}/{self._spare.popleft()}", directory)  # noqa: PTH104 - three times as fast
        except (IndexError, FileNotFoundError):  # none is left, or somebody tidied up
            directory.mkdir()
            (directory / WORK).mkdir()
        outputs = []
        for number, result in enumerate(results):
            place = directory / "outputs" / str(number)
            place.mkdir(parents=True)
            place.chmod(PUBLIC)  # the program may run as somebody else
            outputs.append(Mount(source=place, target=result.path, is_writable=True))
        return tuple(outputs)

    def take_back(self, execution_id: ExecutionId) -> bool:
        """Keep the work directory of an execution of which nothing runs any more as a spare one; False = it has to be removed."""
        place = f"{self._executions}/{execution_id}"
        try:
            if len(self._spare) >= MOST_SPARE or not has_emptied(place, self._mode):
                return False
            os.rename(place, f"{self._spares}/{execution_id}")  # noqa: PTH104 - as above
        except OSError:
            return False
        self._spare.append(execution_id)
        return True

    def remove(self, executions: Iterable[ExecutionId]) -> None:
        """Remove work directories. Blocks, where a program left much in them for long."""
        for execution_id in executions:
            shutil.rmtree(self.of(execution_id), ignore_errors=True)

    def remove_others(self, known: Collection[ExecutionId]) -> None:
        """Remove all but the work directories of the `known` executions: what an agent before this one left. Blocks."""
        for place in (*self._executions.iterdir(), *self._spares.iterdir()):
            if place.parent == self._spares or place.name not in known:
                shutil.rmtree(place, ignore_errors=True)


def has_emptied(place: str, mode: int) -> bool:
    """Empty the files of the work directory at `place`, so that it is as a new one; False = a program left something.

    `mode` is that of a new directory. Raises OSError.
    """
    if os.lstat(place).st_mode != mode:
        return False
    names = os.listdir(place)  # noqa: PTH208 - a third of the cost
    if WORK not in names:
        return False
    for name in names:
        path = f"{place}/{name}"
        found = os.lstat(path)
        if name == WORK:
            if found.st_mode != mode or os.listdir(path):  # noqa: PTH208
                return False
        elif name not in FILES or found.st_mode != PRIVATE or found.st_nlink != 1:
            return False
        elif found.st_size:
            os.truncate(path, 0)
    return True

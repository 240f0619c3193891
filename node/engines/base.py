"""What an engine promises. One suite (tests/contract/test_engines.py) holds every engine to it."""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Protocol

import msgspec

from orchestrator.contract.execution import Cause
from orchestrator.contract.ids import ExecutionId, NodeId
from orchestrator.contract.job import NetworkConfig, SpecConfig
from orchestrator.contract.node import Resources


class Mount(msgspec.Struct, frozen=True, kw_only=True):
    """A file or directory of the node that the program sees."""

    source: Path
    target: str
    """Absolute path as the program sees it."""
    is_writable: bool = False


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """Whose executions these are: the labels of every container and process of one agent."""

    cluster_id: str
    node_id: NodeId


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """Everything an engine needs to start an execution. Journalled without its environment, for a restarted agent to go on."""

    execution_id: ExecutionId
    owner: Owner
    engine: SpecConfig
    need: Resources
    """Limits: 0 = no limit of that kind."""
    network: NetworkConfig
    environment: Mapping[str, str]
    """Everything but what the engine adds: `BACALHAU_INPUTS`, `BACALHAU_OUTPUTS` (where *this* engine shows them), its params."""
    inputs: tuple[Mount, ...]
    outputs: tuple[Mount, ...]
    """One a result path, in order; `source` is an empty directory made before the start."""
    directory: Path
    """The execution's own work directory."""
    stdout: Path
    stderr: Path
    """Files that the program's output goes to, byte by byte as it is written."""


class Handle(msgspec.Struct, frozen=True, kw_only=True):
    """What names a started execution on this machine, also after a restart of the agent: journalled after the start."""

    facts: dict[str, str]
    """The engine's own: pid, start time and boot id; a container's id."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How an execution ended by itself, or by `stop`."""

    exit_code: int | None
    """None = not known."""
    cause: Cause | None
    """None = success. EXIT, SIGNAL or OOM from the program; AGENT when nobody can tell how it ended."""
    message: str = ""
    """Ours, when the engine has something to say ("memory limit exceeded"); the task's own words are in stderr."""


class EngineError(Exception):
    """An execution could not be started. Nothing of it is left behind.

    `cause` IMAGE, IMAGE_PULL, EXIT (exit code 127: no such program, 126: cannot be run), INPUT, or AGENT when the engine
    itself does not answer.
    """

    def __init__(self, cause: Cause, message: str, exit_code: int | None = None) -> None:
        super().__init__(message)
        self.cause = cause
        self.message = message
        self.exit_code = exit_code


class EngineUnavailableError(Exception):
    """The engine cannot be asked now (a Docker engine that restarts): what it runs is neither known to run nor to have ended."""


Known = Callable[[], AbstractSet[ExecutionId]]
"""All executions that an agent has now."""


class Engine(Protocol):
    """Starts executions and tells how they end. All methods may be called at once for different executions."""

    name: str
    """`docker`, `wasm` or `process`, as in a job's `Engine.Type`."""
    is_server: bool
    """Whether orders reach it over a connection: one of an agent that has died may be carried out after the next one cleaned."""

    async def start(self, launch: Launch) -> Handle:
        """Start it; when it returns the program runs (or has ended already).

        Raises EngineError, and then nothing is left. Cancelled: whatever was begun is removed before CancelledError goes on.
        """

    async def wait(self, launch: Launch, handle: Handle) -> Outcome:
        """Return when it has ended and all of its output is in the files. Cancelling the wait leaves it running.

        An engine that cannot be asked for a while is waited for: it never raises for that.
        """

    async def stop(self, launch: Launch, handle: Handle, grace: float) -> None:
        """End all of its processes: politely, after `grace` seconds by force. `wait` returns then. Already ended: nothing."""

    async def adopt(self, launch: Launch, handle: Handle | None) -> Handle | None:
        """After a restart of the agent: the handle with which `wait` goes on, or None; whatever was left of it is then gone.

        A handle also if it ended meanwhile and its exit code can be told; None when it never started or nobody can tell.

        `handle` None = the journal knows only the intent. Raises EngineUnavailableError when the engine cannot be asked.
        """

    async def forget(self, launch: Launch, handle: Handle) -> None:
        """Remove what an ended execution left in the engine (its container); when it returns, nothing of it runs.

        The work directory is not the engine's.
        """

    async def remove_strangers(self, owner: Owner, known: Known) -> list[ExecutionId]:
        """End and remove everything labelled as `owner`'s that is not known. Raises EngineUnavailableError.

        `known` is asked after the engine was looked at: what has begun by then is known.
        """

    async def close(self) -> None:
        """Give up connections. What runs goes on."""

"""The sync loop: call, back off, keep the lease, hand over what is wanted. ARCHITECTURE 4.1, 1 to 6."""

import asyncio
import contextlib
import random
from typing import Protocol

import structlog

from node.clock import boot_seconds
from node.uplink import (
    SessionConflictError,
    UnreachableError,
    Uplink,
    UplinkError,
    WrongClusterError,
)
from orchestrator.contract.agent import SyncRequest, SyncResponse

log = structlog.get_logger()

COALESCE_SECONDS = 0.02
"""Syncs go out no closer than this: what changes in between goes into one."""
AMPLE_SECONDS = 0.1
"""The same while there is work for longer: half of what a backlog holds."""
LONGEST_WAIT = 10.0
"""Seconds that an answer may be held, and a third of the lease."""
FIRST_BACKOFF = 0.1
LONGEST_BACKOFF = 5.0
"""Seconds between tries, and a third of the lease."""
SPARE_SECONDS = 5.0
"""How long after the end of a lease a new session still tries to get the node."""


class Truth(Protocol):
    """What the session tells and is told: the agent."""

    def request(self, seq: int, wait: float, *, is_first: bool) -> SyncRequest:
        """Everything that is seen now. `is_first` = no answer was taken in this session yet."""

    def apply(self, response: SyncResponse) -> None:
        """Make the node as the answer wants it."""

    def unheard(self) -> None:
        """A sync failed; the next follows."""

    def is_idle(self) -> bool:
        """Whether there is no work here that a wrong orchestrator should not end."""


class Session:
    """Keeps the orchestrator told and the lease alive until it ends with an UplinkError.

    At most one sync is held and one in flight; an answer counts only if its Seq is above the last one taken and its lease,
    from sending, is not over.
    """

    def __init__(
        self, uplink: Uplink, truth: Truth, lease_seconds: float, fence_seconds: float, cluster_id: str
    ) -> None:
        self._uplink = uplink
        self._cluster_id = cluster_id
        self._truth = truth
        self.lease_seconds = lease_seconds
        self.fence_seconds = fence_seconds
        self.heard = boot_seconds()
        """When the sync was sent whose answer was taken last; until then, when this began."""
        self._began = self.heard
        self._seq = 0
        self._taken = 0
        self._out: set[int] = set()
        """Seqs of the syncs that were sent and have not come back."""
        self._is_dirty = False
        self._failures = 0
        self._not_before = 0.0
        """Loop time at which a failure has been waited out."""
        self._sent = float("-inf")
        """Loop time of the last sync."""
        self._pause = COALESCE_SECONDS
        self._wake = asyncio.Event()
        self._trouble = ""

    @property
    def is_failing(self) -> bool:
        """Whether the last sync that came back failed."""
        return self._failures > 0

    @property
    def is_granted(self) -> bool:
        """Whether an answer was taken in this session."""
        return self._taken > 0

    def changed(self) -> None:
        """Something here is not as the last sync told: tell it soon."""
        if not self._is_dirty:
            self._is_dirty = True
            self._wake.set()

    def tell_backlog(self, *, has_backlog: bool) -> None:
        """Whether work waits here: as long as some does, syncs may go out further apart."""
        pause = AMPLE_SECONDS if has_backlog else COALESCE_SECONDS
        if pause < self._pause:
            self._wake.set()
        self._pause = pause

    async def run(self) -> None:
        """Sync until cancelled. Raises the UplinkError that ends the session: superseded, refused, wrong cluster."""
        try:
            async with asyncio.TaskGroup() as exchanges:
                while True:
                    await self._turn(exchanges)
        except* UplinkError as ended:
            first: BaseException = ended
            while isinstance(first, BaseExceptionGroup):
                first = first.exceptions[0]
            raise first from None

    async def _turn(self, exchanges: asyncio.TaskGroup) -> None:
        """Send the next sync if it is time, else wait until it may be."""
        now = asyncio.get_running_loop().time()
        waiting = sum(seq > self._taken for seq in self._out)  # older ones may be lost; their answers mean nothing now
        wants = waiting == 0 or (self._is_dirty and waiting == 1 and not self._failures)
        due = max(self._sent + self._pause, self._not_before)
        if wants and now >= due:
            # after a failure an answer is wanted at once: the fence may be near
            is_held = self.is_granted and not self._failures
            wait = min(self.lease_seconds / 3, LONGEST_WAIT) if is_held else 0.0
            request = self._next(wait)
            self._out.add(request.seq)
            self._sent = now
            exchange = exchanges.create_task(self._exchange(request, boot_seconds()))
            exchange.add_done_callback(lambda _: self._landed(request.seq))
            return
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(due - now if wants else None):
                await self._wake.wait()

    def _next(self, wait: float) -> SyncRequest:
        self._seq += 1
        self._is_dirty = False
        return self._truth.request(self._seq, wait, is_first=not self.is_granted)

    def _landed(self, seq: int) -> None:
        self._out.discard(seq)
        self._wake.set()

    async def _exchange(self, request: SyncRequest, sent: float) -> None:
        """One sync and what follows from its answer."""
        try:
            response = await self._uplink.sync(
                request, request.wait + max(1.0, min(self.lease_seconds / 3, LONGEST_WAIT))
            )
        except UnreachableError as error:
            self._back_off(error.message, "orchestrator_unreachable")
        except SessionConflictError as error:
            if self.is_granted or boot_seconds() - self._began > self.lease_seconds + SPARE_SECONDS:
                raise
            self._back_off(error.message, "node_held_by_another_session")
        except WrongClusterError as error:
            if self._truth.is_idle() or boot_seconds() - self.heard > self.fence_seconds:
                raise
            self._back_off(error.message, "wrong_cluster")
        else:
            self._take(response, sent)

    def _take(self, response: SyncResponse, sent: float) -> None:
        if self._trouble:
            log.info("orchestrator_reached", orchestrator=self._uplink.orchestrator)
        self._trouble = ""
        self._failures = 0
        if response.seq <= self._taken:
            return
        if boot_seconds() - sent > response.lease_seconds:
            log.warning("answer_after_its_lease", seq=response.seq, lease_seconds=response.lease_seconds)
            return
        self._taken = response.seq
        self._cluster_id = response.cluster_id
        self.lease_seconds = response.lease_seconds
        self.fence_seconds = response.fence_seconds
        self.heard = max(self.heard, sent)
        self._truth.apply(response)

    def _back_off(self, reason: str, event: str) -> None:
        """Wait longer with every failure, up to a third of the lease, with jitter; said once until it changes."""
        if self._trouble != event:
            log.warning(event, orchestrator=self._uplink.orchestrator, reason=reason)
            self._trouble = event
        longest = min(self.lease_seconds / 3, LONGEST_BACKOFF)
        delay = min(longest, FIRST_BACKOFF * 2 ** min(self._failures, 10)) * random.uniform(0.5, 1.0)
        self._failures += 1
        self._is_dirty = True
        self._truth.unheard()
        self._not_before = max(self._not_before, asyncio.get_running_loop().time() + delay)

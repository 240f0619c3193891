"""Tells when processes end. All are watched through one epoll, of which the event loop knows a single descriptor."""

import asyncio
import os
import select


class Ends:
    """The processes that somebody waits for; of one event loop."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    async def of(self, pidfd: int) -> None:
        """Return when the process of the pidfd has ended. Each pidfd is waited for once at a time."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(self._epoll.fileno(), self._look)
        self._waiting[pidfd] = ended = self._loop.create_future()
        self._epoll.register(pidfd, select.EPOLLIN)
        try:
            await ended
        finally:
            self._epoll.unregister(pidfd)
            del self._waiting[pidfd]

    async def of_pid(self, pid: int) -> None:
        """Return when there is no process of this number, or only one that its parent has yet to notice."""
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        try:
            await self.of(descriptor)
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Watch no more."""
        if self._loop is not None:
            self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()

    def _look(self) -> None:
        for pidfd, _ in self._epoll.poll(0):
            ended = self._waiting[pidfd]
            if not ended.done():
                ended.set_result(None)

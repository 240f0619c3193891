"""Starts programs that see the machine's mounts as they are now: none comes or goes while a sandbox is made of them.

bubblewrap reads the table of mounts, goes through it, and fails when one of them has gone meanwhile. So it is started in a mount
namespace of its own, which changes no more, and where containers' mounts are covered: those would vanish even so, with the
directories that they lie on. A namespace can belong to a single thread; the agent keeps its own.
"""

import ctypes
import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

CONTAINERS = (b"/var/lib/docker", b"/var/lib/containerd", b"/var/lib/containers")
"""Where engines keep containers."""
LIBC = ctypes.CDLL(None, use_errno=True)
NEW_MOUNTS = 0x0002_0000
BIND, RECURSIVE, PRIVATE = 0x1000, 0x4000, 0x4_0000
T = TypeVar("T")


class Still:
    """One thread that goes into a namespace of its own, anew for each program."""

    def __init__(self) -> None:
        self._home = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        self._thread = ThreadPoolExecutor(1, "sandboxes")
        self._may = self._thread.submit(self._try).result()
        """An agent that is not root may not; its bubblewrap cannot reach containers' mounts, and passes over them."""
        if not self._may:  # the thread goes, with a namespace that it could not leave
            self._thread.shutdown()

    def start(self, start: Callable[[], int]) -> int:
        """What `start` returns, called there. Blocks. Raises OSError, and whatever `start` raises."""
        return self._thread.submit(self._start, start).result() if self._may else start()

    def _try(self) -> bool:
        try:
            return self._start(lambda: True)
        except OSError:
            return False

    def _start(self, start: Callable[[], T]) -> T:
        _call("unshare", NEW_MOUNTS)
        try:
            _call("mount", None, b"/", None, ctypes.c_ulong(RECURSIVE | PRIVATE), None)
            for place in CONTAINERS:  # itself over itself, without what is mounted below: to unmount that takes longer
                LIBC.mount(place, place, None, ctypes.c_ulong(BIND), None)
            return start()
        finally:  # else what the machine unmounts stayed in use here
            _call("setns", self._home, NEW_MOUNTS)


@functools.cache
def still() -> Still:
    """The one of this process."""
    return Still()


def _call(name: str, *arguments: object) -> None:
    if getattr(LIBC, name)(*arguments):
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")

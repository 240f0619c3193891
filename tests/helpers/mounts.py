"""Mounts that come and go, as those of containers do."""

import contextlib
import os
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def shared() -> Iterator[Path]:
    """A mount whose changes are told to every namespace, as systemd has all of a machine. Needs root."""
    if os.geteuid() != 0:
        pytest.skip("only root mounts")
    place = Path(tempfile.mkdtemp(prefix="shoal-mounts-", dir="/var/tmp"))  # not /tmp, which a sandbox hides
    with mounted(place):
        _call("mount", "--make-shared", str(place))
        yield place
    place.rmdir()


@contextlib.contextmanager
def mounted(place: Path) -> Iterator[None]:
    """Something is mounted on a directory."""
    _call("mount", "-t", "tmpfs", "none", str(place))
    try:
        yield
    finally:
        _call("umount", "-l", str(place))


@contextlib.contextmanager
def changing(place: Path, *, is_removed: bool = False) -> Iterator[None]:
    """Below `place` something is mounted and unmounted all the time. `is_removed`: its directory is made and removed, too."""
    is_over = threading.Event()

    def change(own: Path) -> None:
        while not is_over.is_set():
            own.mkdir(exist_ok=True)
            with mounted(own):
                pass
            if is_removed:
                own.rmdir()

    threads = [threading.Thread(target=change, args=(place / str(number),)) for number in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


def _call(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)

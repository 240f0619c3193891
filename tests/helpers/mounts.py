"""Mounts that come and go, as those of containers do."""

import contextlib
import os
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.engines.still import CONTAINERS


@pytest.fixture
def shared() -> Iterator[Path]:
    """A mount somewhere on the machine."""
    with _shared(Path("/var/tmp")) as place:  # not /tmp, which a sandbox hides
        yield place


@pytest.fixture
def containers() -> Iterator[Path]:
    """A mount where an engine keeps containers."""
    home = Path(os.fsdecode(CONTAINERS[-1]))
    is_ours = not home.exists()
    home.mkdir(exist_ok=True)
    with _shared(home) as place:
        yield place
    if is_ours:
        home.rmdir()


@contextlib.contextmanager
def _shared(above: Path) -> Iterator[Path]:
    """A mount whose changes are told to every namespace, as systemd has all of a machine. Needs root."""
    if os.geteuid() != 0:
        pytest.skip("only root mounts")
    place = Path(tempfile.mkdtemp(prefix="shoal-mounts-", dir=above))
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

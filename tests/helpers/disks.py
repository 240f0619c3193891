"""Small disks for tests that fill them."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.helpers.docker import missing


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[Path]:
    """A disk of its own at `place`, of `size` (`4m`). Needs root and the right to mount, else the test is skipped."""
    place.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0:
        missing("root, to mount a small disk")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "none", place], capture_output=True, check=False
    )
    if done.returncode != 0:
        missing(f"the right to mount a small disk ({done.stderr.decode().strip()})")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=False)


def fill(place: Path, leave: int = 0) -> Path:
    """Take all of a disk but `leave` bytes; the file that does, to be removed."""
    ballast = place / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            file.truncate(max(0, file.tell() - leave))
    return ballast

"""The node's clock: CLOCK_BOOTTIME, which goes on while the machine sleeps and never jumps."""

import time
from pathlib import Path


def boot_seconds() -> float:
    """Seconds since the machine was started, sleep included. Comparable between processes until the next boot."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot_id() -> str:
    """Names this boot of the machine: times of `boot_seconds` mean something only together with it."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()

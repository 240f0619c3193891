"""Plays many random histories of a simulated cluster, or one again: `make soak SEEDS=100000`, `make soak REPLAY=4711`.

Every seed is one history of 200 steps. What breaks a promise is printed with its seed; then the exit code is 1.
"""

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from tests.helpers.simulation.faults import STEPS, play

CHUNK = 50
SHOWN = 20
"""Failures after which it ends."""


def main() -> int:
    """Play what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=100_000, help="how many histories")
    parser.add_argument(
        "--first", type=int, default=1_000_000, help="the first seed; those of the tests are below 2000"
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--replay", type=int, help="play one seed again and tell every step")
    arguments = parser.parse_args()
    if arguments.replay is not None:
        play(arguments.replay, trace=tell)
        return 0
    return soak(arguments.first, arguments.seeds, arguments.processes)


def tell(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def soak(first: int, seeds: int, processes: int) -> int:
    """Play `seeds` histories; gives the exit code."""
    began = said = time.monotonic()
    played = failures = 0
    starts = range(first, first + seeds, CHUNK)
    with ProcessPoolExecutor(processes) as pool:
        for number, found in pool.map(play_chunk, starts, [first + seeds] * len(starts)):
            played += number
            failures += len(found)
            for message in found:
                tell(f"FOUND {message}")
            now = time.monotonic()
            if now - said > 30:
                said = now
                tell(f"{played} histories, {failures} failures, {played / (now - began):.1f} a second")
            if failures >= SHOWN:
                pool.shutdown(wait=False, cancel_futures=True)
                break
    seconds = time.monotonic() - began
    rate = f"{played / seconds:.1f} histories and {played * STEPS / seconds:.0f} steps a second"
    tell(f"{played} histories of {STEPS} steps in {seconds:.0f} s: {failures} failures; {rate}, {processes} processes")
    return 1 if failures else 0


def play_chunk(first: int, end: int) -> tuple[int, list[str]]:
    """Play some histories; gives their number, and what was found."""
    found: list[str] = []
    seeds = range(first, min(first + CHUNK, end))
    for seed in seeds:
        try:
            play(seed)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is reported with its seed
            found.append(str(error))
    return len(seeds), found


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order of sets of text is a part of a history
        os.execve(
            sys.executable,
            [sys.executable, "-m", "tests.tools.soak", *sys.argv[1:]],
            os.environ | {"PYTHONHASHSEED": "0"},
        )
    sys.exit(main())

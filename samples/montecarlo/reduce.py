"""Fetch the results of the Monte Carlo job and print what they say of pi: python samples/montecarlo/reduce.py JOB."""

import subprocess
import sys
import tempfile
from pathlib import Path


def main(job: str) -> int:
    """Sum the darts of all partitions; 1 when there are none."""
    shoal = Path(sys.executable).with_name("shoal")
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run([shoal, "job", "get", job, "--output-dir", scratch], check=True, stdout=subprocess.DEVNULL)
        counts = [path.read_text().split() for path in sorted(Path(scratch).glob("**/partition-*/stdout"))]
    if not counts:
        print(f"{job}: no partition has results", file=sys.stderr)
        return 1
    inside, thrown = sum(int(count[0]) for count in counts), sum(int(count[1]) for count in counts)
    print(f"{len(counts)} partitions, {thrown:,} darts: pi is about {4 * inside / thrown:.5f}")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        sys.exit(main(sys.argv[1]))
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)

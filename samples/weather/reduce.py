"""Fetch the results of a weather job and print the means per month over all its years.

python samples/weather/reduce.py JOB     fetches with `shoal job get`
python samples/weather/reduce.py DIR     reads a directory that `shoal job get` made
"""

import csv
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def fetch(job: str, into: Path) -> None:
    """Have `shoal`, installed beside this interpreter, lay the results of all partitions below `into`."""
    shoal = Path(sys.executable).with_name("shoal")
    subprocess.run([shoal, "job", "get", job, "--output-dir", into], check=True, stdout=subprocess.DEVNULL)


def reduce(results: Path) -> list[tuple[str, str, float, float, float]]:
    """One row a station and month: mean high and low in °C weighted by days, mean rain a month in mm."""
    days: dict[tuple[str, int], int] = defaultdict(int)
    sums: dict[tuple[str, int], list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    years: dict[tuple[str, int], int] = defaultdict(int)
    for path in sorted(results.glob("**/partition-*/means/*.csv")):
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                key, count = (row["station"], int(row["month"])), int(row["days"])
                days[key] += count
                years[key] += 1
                sums[key][0] += float(row["mean_high"]) * count
                sums[key][1] += float(row["mean_low"]) * count
                sums[key][2] += float(row["rain_mm"])
    return [
        (
            station,
            MONTHS[month - 1],
            high / days[station, month],
            low / days[station, month],
            rain / years[station, month],
        )
        for (station, month), (high, low, rain) in sorted(sums.items())
    ]


def main(wanted: str) -> int:
    """Print the table; 1 when there is nothing to reduce."""
    with tempfile.TemporaryDirectory() as scratch:
        results = Path(wanted)
        if not results.is_dir():
            results = Path(scratch)
            fetch(wanted, results)
        rows = reduce(results)
    if not rows:
        print(f"{wanted}: no partition has results", file=sys.stderr)
        return 1
    stations = sorted({row[0] for row in rows})
    print("       " + "".join(f"{station:>24}" for station in stations))
    print("       " + "     high    low rain mm" * len(stations))
    for month in MONTHS:
        cells = [f"{high:9.1f}{low:7.1f}{rain:8.0f}" for _, name, high, low, rain in rows if name == month]
        print(f"  {month}  " + "".join(cells))
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        sys.exit(main(sys.argv[1]))
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)

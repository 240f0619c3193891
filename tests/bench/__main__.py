"""Everything side by side on this machine: python -m tests.bench [--quick]. A table; the last line is `ratios: {...}`.

Contenders take turns within a pass, and ratios are taken within passes, so that a busy machine harms all alike.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.bench import batching, containers, large, sandbox, store, wasm
from tests.bench.contenders import c_loop, compile_loop, install, parallel, scripted, xargs
from tests.bench.measure import Row, Run, load, ratio, tell
from tests.bench.shoal import PROCESS, shoal

SHOAL = "Shoal"


def side_by_side(count: int, passes: int, loop: str) -> dict[str, Row]:
    """All contenders over `count` partitions of `true`, two at once; prints a row for each."""
    programs = install()
    with tempfile.TemporaryDirectory() as home, shoal(Path(home), is_bare=True) as ours:
        place = Path(home) / "others"
        place.mkdir()
        contenders: dict[str, Callable[[], Run]] = {
            "C posix_spawn loop": partial(c_loop, loop, count),
            "xargs -P2": partial(xargs, count),
            SHOAL: lambda: ours.run([ours.job(count, PROCESS)]),
        }
        if "parallel" in programs:
            contenders["GNU parallel --joblog"] = partial(parallel, programs["parallel"], count, place)
        if "hyperqueue" in programs:
            contenders["HyperQueue LocalCluster"] = partial(
                scripted, programs["hyperqueue"], "with_hyperqueue.py", count, place
            )
        if "dask" in programs:
            contenders["dask.distributed"] = partial(scripted, programs["dask"], "with_dask.py", count, place)
        ours.run([ours.job(50, PROCESS)])
        runs: dict[str, list[Run]] = {name: [] for name in contenders}
        for _ in range(passes):
            for name, contender in contenders.items():
                runs[name].append(contender())
        rows = {name: Row(name=name, count=count, runs=tuple(these)) for name, these in runs.items()}
        for row in rows.values():
            tell(str(row))
        parts = ", ".join(f"{name} {1000 * seconds / count:.2f}" for name, seconds in ours.parts.items())
        tell(f"{'':<38}of Shoal's last run, ms of CPU a partition: {parts}")
    return rows


def ratios_of(rows: dict[str, Row]) -> dict[str, float]:
    """How Shoal compares with the others, as far as they were there."""
    own = rows[SHOAL]
    found = {"cpu_ms_per_partition": own.cpu_ms}
    names = {
        "wall_vs_c_loop": "C posix_spawn loop",
        "wall_vs_xargs": "xargs -P2",
        "rate_vs_hyperqueue": "HyperQueue LocalCluster",
        "rate_vs_parallel": "GNU parallel --joblog",
        "rate_vs_dask": "dask.distributed",
    }
    for key, name in names.items():
        if name in rows:
            found[key] = ratio(own, rows[name]) if key.startswith("wall") else ratio(rows[name], own)
    return found


def main(*, is_quick: bool) -> int:
    """Measure, print."""
    passes = 1 if is_quick else 3
    loop = compile_loop()
    tell(f"{load()}; {passes} pass{'es' if passes > 1 else ''}")
    tell(f"{'':<38}{'N':>7} {'wall, median (min - max)':<28}{'rate':>10} {'CPU each':>11}")
    ratios = ratios_of(side_by_side(1_000, passes, loop))
    if not is_quick:
        of_thousand = {f"{key}_at_1000": value for key, value in ratios.items()}
        ratios = ratios_of(side_by_side(10_000, passes, loop)) | of_thousand
    ratios |= sandbox.measure(loop, 200 if is_quick else 1_000, passes)
    ratios |= containers.measure(12 if is_quick else 60, passes)
    ratios |= large.measure(5_000 if is_quick else 100_000, 20, 50 if is_quick else 500)
    ratios |= wasm.measure(2_000 if is_quick else 10_000, passes)
    ratios |= batching.measure_syncing(1_000 if is_quick else 10_000, passes)
    ratios |= batching.measure_batches(2_000 if is_quick else 10_000, passes)
    ratios |= store.measure_sync(2_000 if is_quick else 10_000, passes)
    tell(load())
    tell(f"ratios: {json.dumps({key: round(value, 3) for key, value in ratios.items()})}")
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one pass, smaller jobs: under two minutes")
    sys.exit(main(is_quick=parser.parse_args().quick))

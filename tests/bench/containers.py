"""Containers that do nothing, four at once and without a network: raw aiodocker, `docker run` through xargs, Shoal."""

import asyncio
import tempfile
from pathlib import Path

import psutil

from tests.bench.engines import run_aiodocker
from tests.bench.measure import Row, Run, ratio, run_program, tell
from tests.bench.shoal import shoal
from tests.helpers.docker import IMAGE, build_image, has_docker

WIDTH = 4
ISOLATED = {"NetworkDisabled": True, "HostConfig": {"NetworkMode": "none"}}


def busy() -> float:
    """CPU seconds of the whole machine so far: an engine's work is done by others."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)


def raw(count: int) -> Run:
    """What the engine can do, asked by the same library: create, start, wait, logs, remove."""
    before = busy()
    wall = asyncio.run(run_aiodocker(count, WIDTH, ISOLATED))
    return Run(wall=wall, cpu=busy() - before)


def by_hand(count: int) -> Run:
    """What one would type."""
    before = busy()
    argv = ["xargs", "-P", str(WIDTH), "-I{}", "docker", "run", "--rm", "--network", "none", IMAGE, "true"]
    run = run_program(argv, "\n".join(map(str, range(count))))
    return Run(wall=run.wall, cpu=busy() - before)


def measure(count: int, passes: int) -> dict[str, float]:
    """Print a row for each; the ratios."""
    if not has_docker():
        tell("not measured: containers, there is no Docker engine here")
        return {}
    build_image()
    runs: dict[str, list[Run]] = {"raw aiodocker": [], "docker run, xargs -P4": [], "Shoal, docker": []}
    with tempfile.TemporaryDirectory() as home, shoal(Path(home), cpu=WIDTH, engines="docker") as ours:
        task = {
            "Engine": {"Type": "docker", "Params": {"Image": IMAGE, "Parameters": ["true"]}},
            "Network": {"Type": "None"},
        }
        ours.run([ours.job(WIDTH, task)])
        for _ in range(passes):
            runs["raw aiodocker"].append(raw(count))
            runs["docker run, xargs -P4"].append(by_hand(count))
            before = busy()
            run = ours.run([ours.job(count, task)])
            runs["Shoal, docker"].append(Run(wall=run.wall, cpu=busy() - before))
    rows = [Row(name=name, count=count, runs=tuple(these)) for name, these in runs.items()]
    for row in rows:
        tell(str(row))
    floor, hand, own = rows
    return {"docker_wall_vs_raw": ratio(own, floor), "docker_rate_vs_docker_run": ratio(hand, own)}

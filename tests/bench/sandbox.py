"""Bubblewrap: Shoal against the C loop over the very command that its process engine runs."""

import asyncio
import shutil
import tempfile
from pathlib import Path

from node.engines.bubblewrap import Bubblewrap
from tests.bench.contenders import TRUE, WIDTH
from tests.bench.measure import Row, Run, ratio, run_program, tell
from tests.bench.shoal import PROCESS, shoal
from tests.helpers.engines import Bench


def measure(loop: str, count: int, passes: int) -> dict[str, float]:
    """Print a row for each; the ratio."""
    with tempfile.TemporaryDirectory() as home, shoal(Path(home)) as ours:
        command = asyncio.run(sandboxed(Path(home)))
        if not command:
            tell("not measured: bubblewrap is not installed, or not allowed to work here")
            return {}
        ours.run([ours.job(20, PROCESS)])
        floors: list[Run] = []
        runs: list[Run] = []
        for _ in range(passes):
            floors.append(run_program([loop, str(count), str(WIDTH), *command]))
            runs.append(ours.run([ours.job(count, PROCESS)]))
    floor = Row(name="C loop over the same bwrap", count=count, runs=tuple(floors))
    own = Row(name="Shoal, bubblewrap", count=count, runs=tuple(runs))
    for row in (floor, own):
        tell(str(row))
    parts = ", ".join(f"{name} {1000 * seconds / count:.2f}" for name, seconds in ours.parts.items())
    tell(f"{'':<38}of Shoal's last run, ms of CPU a partition: {parts}")
    return {"bwrap_wall_vs_c_loop": ratio(own, floor)}


async def sandboxed(home: Path) -> list[str]:
    """What the engine would run for `true`, without the file for the exit code; empty where there is no bubblewrap."""
    sandbox = Bubblewrap.find(home)
    if sandbox is None:
        return []
    launch = Bench("bubblewrap", home).launch(argv=[TRUE])
    arguments = sandbox.layout(launch, [TRUE], {}, "").arguments
    status = arguments.index("--json-status-fd")
    return [shutil.which("bwrap") or "", *arguments[1:status], *arguments[status + 2 :]]

"""What else runs many small programs on one machine: each over N times `true`, two at once.

HyperQueue and dask live in a virtual environment of their own, made here; their servers and workers are started outside
the measured part, like ours.
"""

import json
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from tests.bench.measure import Run, run_program, tell

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
HOME = ROOT / "build" / "bench"
PACKAGES = ("hyperqueue==0.27.0", "distributed==2026.8.0")
TRUE = "/bin/true"
WIDTH = 2


def compile_loop() -> str:
    """The C loop, as a program."""
    HOME.mkdir(parents=True, exist_ok=True)
    program = HOME / "spawn_loop"
    subprocess.run(["cc", "-O2", "-o", str(program), str(HERE / "spawn_loop.c")], check=True)
    return str(program)


def install() -> dict[str, Path]:
    """Make the environment of the Python contenders; programs of all that can be had here, by name."""
    found = {}
    if parallel := shutil.which("parallel"):
        found["parallel"] = Path(parallel)
    else:
        tell("not measured: GNU parallel (Debian package `parallel`) is not installed")
    python = HOME / "venv" / "bin" / "python"
    done = HOME / "venv" / "installed"
    try:
        if not done.exists() or done.read_text() != str(PACKAGES):
            tell(f"installing {', '.join(PACKAGES)} into {HOME / 'venv'}")
            venv.create(HOME / "venv", with_pip=True, clear=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
            done.write_text(str(PACKAGES))
    except (subprocess.CalledProcessError, OSError) as error:
        tell(f"not measured: HyperQueue and dask cannot be installed: {error}")
        return found
    return found | {"hyperqueue": python, "dask": python}


def c_loop(program: str, count: int) -> Run:
    """The limit: a loop in C over posix_spawn."""
    return run_program([program, str(count), str(WIDTH), TRUE])


def xargs(count: int) -> Run:
    """`xargs -P`, one partition a call."""
    return run_program(["xargs", "-P", str(WIDTH), "-n", "1", TRUE], "\n".join(map(str, range(count))))


def parallel(program: Path, count: int, directory: Path) -> Run:
    """GNU parallel with a job log, as one would run it to be able to go on after a failure."""
    log = directory / "joblog"
    log.unlink(missing_ok=True)
    argv = [str(program), "--will-cite", "-j", str(WIDTH), "--joblog", str(log), TRUE]
    return run_program(argv, "\n".join(map(str, range(count))))


def scripted(python: Path, script: str, count: int, directory: Path) -> Run:
    """A contender with a Python client: its script prints wall and CPU seconds of the measured part."""
    argv = [str(python), str(HERE / script), str(count), str(WIDTH), TRUE]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=directory)
    if done.returncode:
        sys.stderr.write(done.stderr)
        message = f"{script} ended with {done.returncode}"
        raise RuntimeError(message)
    told = json.loads(done.stdout.splitlines()[-1])
    return Run(wall=told["wall"], cpu=told["cpu"])

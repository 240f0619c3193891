"""Where Bacalhau's clients are: its Python SDK of today, and its Airflow provider with the SDK of its time."""

import os
import subprocess

import pytest

from tests.helpers.processes import ROOT


@pytest.fixture(scope="module")
def interpreter() -> str:
    """A Python that has the SDK."""
    return made("sdk")


@pytest.fixture(scope="module")
def airflow() -> str:
    """A Python that has Airflow and Bacalhau's operator."""
    return made("airflow")


def made(name: str) -> str:
    """The interpreter of an environment; without a registry there is none, which is a failure in CI alone."""
    argv = ["bash", str(ROOT / "tests/tools/clients.sh"), name]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode and not os.environ.get("CI"):
        pytest.skip(f"{name} cannot be installed: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()

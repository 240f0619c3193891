"""Where Bacalhau's Python SDK is."""

import os
import subprocess

import pytest

from tests.helpers.processes import ROOT


@pytest.fixture(scope="module")
def interpreter() -> str:
    """A Python that has the SDK; without a registry there is none, which is a failure in CI alone."""
    made = subprocess.run(
        ["bash", str(ROOT / "tests/tools/clients.sh")], capture_output=True, text=True, check=False, timeout=300
    )
    if made.returncode and not os.environ.get("CI"):
        pytest.skip(f"the SDK cannot be installed: {made.stderr[-300:]}")
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()

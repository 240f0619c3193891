"""Runs command lines in this process against an orchestrator of canned answers."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from orchestrator.client import OrchestratorClient
from tests.helpers.fake_api import FakeApi, ordinary
from tui.cli.context import Context
from tui.cli.main import run


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


Shoal = Callable[..., Done]


@pytest.fixture
def api() -> FakeApi:
    """An orchestrator with one node and one failed job."""
    return ordinary()


@pytest.fixture
def shoal(api: FakeApi, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Shoal:
    """Runs a command line with `api` as its orchestrator, in a home of its own."""
    monkeypatch.chdir(tmp_path)

    def client(context: Context, namespace: str = "") -> OrchestratorClient:
        settings = context.settings
        transport = httpx.MockTransport(api)
        return OrchestratorClient(
            settings.url, instance_id=settings.instance_id(), namespace=namespace, transport=transport
        )

    monkeypatch.setattr(Context, "client", client)

    def invoke(*argv: str, **environ: str) -> Done:
        capfd.readouterr()
        code = run(argv, {"HOME": str(tmp_path), **environ})
        told = capfd.readouterr()
        return Done(int(code), told.out, told.err)

    return invoke

"""What a token does not allow is not offered, and a token of one namespace sees the jobs of that one live."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from orchestrator.auth import Role, hash_of
from orchestrator.tokens import create, create_join, join
from tests.helpers.fake_api import ordinary
from tests.helpers.server import Agent, Api, orchestrator
from tests.helpers.terminal import app_for, screen, shows, wait_for
from tui.app import ShoalApp
from tui.screens.events import EventsPage
from tui.screens.logs_all import LogsPage

NODE_TOKEN = "shoal_n_" + "a" * 32
KEYS = {"compose", "retry failed", "stop"}
MARKS = {"mark", "mark range", "mark all"}
"""Of jobs: for nothing else than acting on them. Those of partitions also pick the logs that are read."""
Token = Callable[[Role, tuple[str, ...]], str]


@pytest.fixture
def token(tmp_path: Path) -> Token:
    """Makes tokens of the test's orchestrator."""

    def make(role: Role, namespaces: tuple[str, ...] = ()) -> str:
        return create(tmp_path, f"{role}-{len(namespaces)}", role, namespaces, 0)[0]

    return make


@pytest.fixture
async def api(tmp_path: Path, token: Token) -> AsyncIterator[Api]:
    """Requests of an admin, where tokens are wanted."""
    admin = token(Role.ADMIN, ())
    join(tmp_path, create_join_token(tmp_path), "n1", hash_of(NODE_TOKEN))
    async with orchestrator(tmp_path) as url:
        api = Api(url)
        api.http.headers["Authorization"] = f"Bearer {admin}"
        yield api
        await api.http.aclose()


def create_join_token(directory: Path) -> str:
    """The hash of one."""
    return hash_of(create_join(directory, 600, -1)[0])


@pytest.fixture
async def agent(api: Api) -> AsyncIterator[Agent]:
    """The node n1."""
    own = Api(api.url)
    own.http.headers["Authorization"] = f"Bearer {NODE_TOKEN}"
    yield Agent(own)
    await own.http.aclose()


def offered(app: ShoalApp) -> set[str]:
    """What the keys that are active now do."""
    return {active.binding.description for active in app.screen.active_bindings.values()}


async def test_a_viewer_is_offered_nothing_that_acts(api: Api, agent: Agent, token: Token) -> None:
    await api.submit("etl", count=3)
    await agent.sync()
    app = app_for(api.url, token=token(Role.VIEWER, ()))
    async with app.run_test(size=(120, 40)) as pilot:
        await shows(pilot, "etl")
        first = screen(app).splitlines()[0]
        assert "viewer-0" in first
        assert first.endswith(" ro")
        assert not (KEYS | MARKS) & offered(app)
        before = app.screen
        await pilot.press("x", "r", "c")
        await pilot.pause()
        assert app.screen is before
        await pilot.press("space", "V", "asterisk", "enter")
        await shows(pilot, "partitions")
        assert MARKS - {"mark all"} <= offered(app)
        await pilot.press("space", "L")
        await wait_for(pilot, lambda: isinstance(app.screen, LogsPage), "the logs of what is marked")
        assert isinstance(app.screen, LogsPage)
        assert app.screen.select == "0"
        await pilot.press("escape", "escape", "escape", "g", "n")
        await shows(pilot, "Connected")
        assert "drain" not in offered(app)


async def test_an_operator_acts_on_jobs_and_not_on_nodes(api: Api, agent: Agent, token: Token) -> None:
    await api.submit("etl", count=3)
    await agent.sync()
    app = app_for(api.url, token=token(Role.OPERATOR, ()))
    async with app.run_test(size=(120, 40)) as pilot:
        await shows(pilot, "etl")
        assert " ro " not in screen(app).splitlines()[0]
        assert offered(app) >= KEYS | MARKS
        await pilot.press("g", "n")
        await shows(pilot, "Connected")
        assert "drain" not in offered(app)


async def test_a_token_of_one_namespace_sees_its_jobs_as_they_change(api: Api, agent: Agent, token: Token) -> None:
    await api.submit("theirs", count=2, cpu="64", Namespace="other")
    await api.submit("ours", count=2, Namespace="team")
    app = app_for(api.url, token=token(Role.OPERATOR, ("team",)))
    app._period = lambda: 3600.0  # type: ignore[method-assign] # a list that is asked for now and then comes too late
    async with app.run_test(size=(120, 40)) as pilot:
        await shows(pilot, "0/2")
        await agent.sync()
        agent.end(0)
        await agent.sync()
        agent.end(1)
        await agent.sync()
        await shows(pilot, "2/2")
        await api.submit("more", count=1, Namespace="team")
        await shows(pilot, "more")
        assert "theirs" not in screen(app)


async def test_a_token_of_one_namespace_sees_what_happened_to_its_jobs(api: Api, agent: Agent, token: Token) -> None:
    await api.submit("theirs", count=1, Namespace="other")
    await api.submit("ours", count=1, Namespace="team")
    await agent.sync()
    app = app_for(api.url, token=token(Role.VIEWER, ("team",)))
    async with app.run_test(size=(120, 40)) as pilot:
        await shows(pilot, "ours")
        await pilot.press("g", "v")
        await shows(pilot, "Job submitted")
        assert isinstance(app.screen, EventsPage)
        assert {event.job_name for event in app.screen.rows} == {"ours"}


@pytest.mark.parametrize("keys", [("g", "v"), ("E",), ("colon", *"node", "space", "n", "enter")])
async def test_a_list_that_is_refused_says_why_in_the_place_of_rows(keys: tuple[str, ...]) -> None:
    api = ordinary()
    app = app_for(api)
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "4/5")
        for path in ("/api/v1/orchestrator/events", ".*/failures", "/api/v1/orchestrator/nodes/n"):
            api.refuse("GET", path, 403, "Forbidden", "not for [/you]")
        await pilot.press(*keys)
        await shows(pilot, "not for [/you]")
        assert "loading" not in screen(app)
        assert screen(app).count("not for [/you]") == 1

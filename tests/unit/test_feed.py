"""The feed: a snapshot, then deltas; never a gap, never a change told twice."""

from contextlib import aclosing

import httpx
import msgspec
import pytest

from orchestrator.client import ClientError, OrchestratorClient, UnreachableError
from orchestrator.contract.partitions import STOPPING, Frame
from orchestrator.contract.partitions import PartitionState as S
from tests.helpers.fake_api import JOBS, FakeApi, frame_of, grid_of
from tui import feed
from tui.feed import Delta, Event, JobView, Offline, Online, Snapshot, follow, pack

ONE = f"{JOBS}/[^/]+"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "FIRST_PAUSE", 0.001)


async def told(api: FakeApi, view: JobView, *, most: int = 50) -> list[Event]:
    """Events until the job has ended."""
    events: list[Event] = []
    async with (
        OrchestratorClient("http://x", transport=httpx.MockTransport(api)) as client,
        aclosing(follow(client, "fish", view)) as stream,
    ):
        async for event in stream:
            events.append(event)
            assert len(events) < most, events
            if view.is_terminal:
                break
    return events


async def test_a_broken_connection_goes_on_where_it_stopped() -> None:
    api, view = FakeApi(), JobView()
    api.on("GET", f"{ONE}/partitions", grid_of([S.WAITING, S.WAITING]))
    api.watch(
        [frame_of("c1", {0: (S.RUNNING, 1)}, [S.RUNNING, S.WAITING])],
        [Frame(cursor="c2")],
        [frame_of("c3", {0: (S.COMPLETED, 1), 1: (S.COMPLETED, 1)}, [S.COMPLETED] * 2, "Completed")],
    )
    events = [event for event in await told(api, view) if not isinstance(event, Offline)]
    assert events == [Snapshot(), Delta((0,)), Online(), Online(), Delta((0, 1))]
    asked = [request.url.params["after"] for request in api.requests if request.url.path.endswith("/watch")]
    assert asked == ["c0", "c1", "c2"]
    assert list(view.states) == [S.COMPLETED] * 2


async def test_what_comes_twice_is_told_once() -> None:
    api, view = FakeApi(), JobView()
    api.on("GET", f"{ONE}/partitions", grid_of([S.WAITING, S.WAITING]))
    same = frame_of("c1", {0: (S.RUNNING, 1)}, [S.RUNNING, S.WAITING])
    api.watch([same, same, frame_of("c2", {0: (S.RUNNING, 1), 1: (S.FAILED, 1)}, [S.RUNNING, S.FAILED], "Failed")])
    assert await told(api, view) == [Snapshot(), Delta((0,)), Delta(()), Delta((1,))]


async def test_a_stale_cursor_means_a_new_snapshot() -> None:
    api, view = FakeApi(), JobView()
    api.on("GET", f"{ONE}/partitions", grid_of([S.WAITING]), grid_of([S.FAILED], "Failed", cursor="d7"))
    api.refuse("GET", f"{ONE}/watch", 410, "StaleCursor", "too old", component="APIServer")
    assert await told(api, view) == [Snapshot(), Snapshot()]
    assert view.cursor == "d7"


async def test_another_version_of_the_job_means_a_new_snapshot() -> None:
    api, view = FakeApi(), JobView()
    api.on("GET", f"{ONE}/partitions", grid_of([S.WAITING]), grid_of([S.COMPLETED] * 3, "Completed"))
    api.watch([frame_of("c1", {2: (S.RUNNING, 1)}, [S.WAITING, S.WAITING, S.RUNNING])])
    assert await told(api, view) == [Snapshot(), Snapshot()]
    assert view.count == 3


async def test_a_restarting_orchestrator_is_waited_for() -> None:
    api, view = FakeApi(), JobView()
    api.on("GET", f"{ONE}/partitions", grid_of([S.WAITING]))
    end = frame_of("c1", {0: (S.COMPLETED, 1)}, [S.COMPLETED], "Completed")
    gone = httpx.ConnectError("All connection attempts failed")
    api.on("GET", f"{ONE}/watch", gone, httpx.Response(503), msgspec.json.encode(end) + b"\n")
    events = await told(api, view)
    assert [type(event) for event in events] == [Snapshot, Offline, Offline, Online, Delta]
    assert isinstance(events[1], Offline)
    assert "connection refused" in events[1].reason


async def test_an_orchestrator_that_was_never_there_is_an_error() -> None:
    api = FakeApi()
    api.on("GET", f"{ONE}/partitions", httpx.ConnectError("All connection attempts failed"))
    with pytest.raises(UnreachableError):
        await told(api, JobView())


async def test_an_unknown_job_is_an_error() -> None:
    api = FakeApi()
    api.refuse("GET", f"{ONE}/partitions", 404, "NotFound", "job not found: fish")
    with pytest.raises(ClientError, match="job not found: fish"):
        await told(api, JobView())


def test_a_view_knows_states_nodes_and_counts() -> None:
    view = JobView()
    view.load(grid_of([S.WAITING, S.RUNNING, S.COMPLETED]))
    assert (view.node_of(0), view.node_of(1)) == ("", "n1")
    assert view.number(S.RUNNING, S.COMPLETED) == 2
    assert not view.is_terminal
    changed = view.apply(frame_of("c1", {1: (S.RUNNING | STOPPING, 1)}, [S.WAITING, S.COMPLETED]))
    assert changed == (1,)
    assert view.states[1] == S.RUNNING + STOPPING


def test_a_packed_view_reads_back_the_same() -> None:
    view, copy = JobView(), JobView()
    grid = grid_of([S.WAITING, S.RUNNING])
    view.load(grid)
    assert pack(view) == grid
    copy.load(grid)
    view.apply(frame_of("c1", {0: (S.RUNNING, 1)}, [S.RUNNING, S.RUNNING]))
    delta = pack(view, (0,), known_nodes=1)
    assert isinstance(delta, Frame)
    assert delta.node_ids == ()
    assert copy.apply(delta) == (0,)
    assert pack(copy) == pack(view)

"""What the docker engine alone promises: images, networks, ports, limits, and restarts of the engine itself."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from node.engines.base import EngineError, EngineUnavailableError, Handle, Launch, Mount, Outcome
from node.engines.docker import DockerEngine
from node.engines.images import Images
from orchestrator.contract.execution import Cause
from orchestrator.contract.job import NetworkConfig, Port
from tests.helpers.docker import PrivateEngine, build_image, docker, private_engine, registry
from tests.helpers.engines import Bench, until
from tests.helpers.processes import free_port

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("engines")]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench("docker", tmp_path)
    await bench.engine()
    yield bench
    await bench.close()


@pytest.fixture(scope="module")
def images_at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry on loopback that holds `kept:1`."""
    with registry(tmp_path_factory.mktemp("registry")) as address:
        tag = f"{address}/kept:1"
        docker("tag", build_image(), tag)
        docker("push", tag)
        docker("rmi", tag)
        yield address


def inspect(launch: Launch) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(docker("inspect", launch.execution_id))[0]
    return shown


async def test_image_is_fetched_once_for_all_who_wait_for_it(
    bench: Bench, images_at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulled = []
    pull = Images._pull

    async def counted(self: Images, image: str) -> None:
        pulled.append(image)
        await pull(self, image)

    monkeypatch.setattr(Images, "_pull", counted)
    image = f"{images_at}/kept:1"
    launches = [bench.launch("echo here", params={"Image": image}) for _ in range(3)]
    engine = bench.engines[0]
    async with asyncio.TaskGroup() as group:
        starts = [group.create_task(engine.start(launch)) for launch in launches]
    for launch, start in zip(launches, starts, strict=True):
        assert (await engine.wait(launch, start.result())).cause is None
        await engine.forget(launch, start.result())
    docker("rmi", image)
    assert pulled == [image]


@pytest.mark.parametrize(
    ("name", "cause", "says"),
    [
        ("{registry}/missing:1", Cause.IMAGE, "image not available: "),
        ("{registry}/kept:2", Cause.IMAGE, "image not available: "),
        ("Not A Name", Cause.IMAGE, "invalid image format: "),
        ("127.0.0.1:{closed}/x:1", Cause.IMAGE_PULL, "could not be pulled"),
    ],
)
async def test_image_that_cannot_be_had_is_told_apart_from_trouble(
    bench: Bench, images_at: str, name: str, cause: Cause, says: str
) -> None:
    image = name.format(registry=images_at, closed=free_port())
    with pytest.raises(EngineError, match=says) as raised:
        await bench.engines[0].start(bench.launch(params={"Image": image}))
    assert raised.value.cause is cause
    assert f'"{image}"' in raised.value.message


async def test_those_who_wait_for_a_pull_share_its_failure(bench: Bench, images_at: str) -> None:
    starts = [bench.engines[0].start(bench.launch(params={"Image": f"{images_at}/missing:1"})) for _ in range(3)]
    results = await asyncio.gather(*starts, return_exceptions=True)
    assert [getattr(result, "cause", None) for result in results] == [Cause.IMAGE] * 3


async def test_cancelled_pull_is_taken_over_by_the_next(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = asyncio.Queue[str]()
    is_open = asyncio.Event()

    async def slow(self: Images, image: str) -> None:  # noqa: ARG001
        calls.put_nowait(image)
        await is_open.wait()

    monkeypatch.setattr(Images, "_pull", slow)
    engine = bench.engines[0]
    assert isinstance(engine, DockerEngine)
    first, second = (asyncio.ensure_future(engine._images.fetch("x")) for _ in range(2))
    assert await calls.get() == "x"
    first.cancel()
    assert await calls.get() == "x"
    is_open.set()
    await second


async def test_without_a_network_localhost_is_there_and_nothing_else(bench: Bench) -> None:
    launch = bench.launch("ping -c 1 -W 2 localhost >/dev/null && ip -o link | wc -l; cat /etc/hosts")
    assert (await bench.run(launch)).cause is None, launch.stderr.read_text()
    assert launch.stdout.read_text().splitlines()[0] == "1"


async def test_default_network_is_the_bridge(bench: Bench) -> None:
    launch = bench.launch("ip -o link | grep -c eth0", network=NetworkConfig(type="Default"))
    await bench.run(launch)
    assert launch.stdout.read_text() == "1\n"


@pytest.mark.parametrize("name", ["Host", "Full"])
async def test_host_network_tells_the_port_to_use(bench: Bench, name: str) -> None:
    ports = (Port(name="api"), Port(name="static", static=free_port()))
    launch = bench.launch(
        "readlink /proc/self/ns/net; env | grep _PORT_ | sort", network=NetworkConfig(type=name, ports=ports)
    )
    await bench.run(launch)
    namespace, *variables = launch.stdout.read_text().splitlines()
    assert namespace == str(Path("/proc/self/ns/net").readlink())  # noqa: ASYNC240
    found = dict(line.split("=") for line in variables)
    assert 20_000 <= int(found["BACALHAU_HOST_PORT_api"]) <= 32_000
    assert found["BACALHAU_PORT_api"] == found["BACALHAU_HOST_PORT_api"]
    assert found["BACALHAU_HOST_PORT_static"] == str(ports[1].static)


async def test_port_of_a_container_is_reached_from_outside(bench: Bench) -> None:
    ports = (Port(name="http", target=8080, host_network="127.0.0.1"),)
    launch = bench.launch(
        "env | grep _PORT_; echo answer | nc -l -p 8080", network=NetworkConfig(type="Bridge", ports=ports)
    )
    engine = bench.engines[0]
    handle = await engine.start(launch)
    async with asyncio.TaskGroup() as group:
        ended = group.create_task(engine.wait(launch, handle))
        await until(lambda: launch.stdout.exists() and launch.stdout.read_text().count("\n") == 2)
        found = dict(line.split("=") for line in launch.stdout.read_text().split())
        assert found["BACALHAU_PORT_http"] == "8080"
        taken = NetworkConfig(type="Bridge", ports=(Port(name="x", static=int(found["BACALHAU_HOST_PORT_http"])),))
        with pytest.raises(EngineError, match=r"port \d+ is already in use") as raised:
            await engine.start(bench.launch(network=taken))
        assert raised.value.cause is Cause.AGENT
        reader, writer = await asyncio.open_connection("127.0.0.1", int(found["BACALHAU_HOST_PORT_http"]))
        assert await reader.readline() == b"answer\n"
        writer.close()
        await writer.wait_closed()
        await engine.stop(launch, handle, 0)
    assert ended.done()
    await engine.forget(launch, handle)


async def test_container_carries_limits_name_and_labels(bench: Bench) -> None:
    launch = bench.launch("sleep 30", memory=64 * 2**20, cpu=0.5)
    engine = bench.engines[0]
    handle = await engine.start(launch)
    shown = inspect(launch)
    host = shown["HostConfig"]
    assert (shown["Config"]["NetworkDisabled"], host["NetworkMode"]) == (True, "none")
    assert (host["Memory"], host["MemorySwap"], host["NanoCpus"]) == (64 * 2**20, 64 * 2**20, 500_000_000)
    assert shown["Config"]["Labels"] == {
        "shoal.cluster": launch.owner.cluster_id,
        "shoal.node": "n1",
        "shoal.execution": launch.execution_id,
    }
    await engine.stop(launch, handle, 0)
    await engine.forget(launch, handle)
    assert docker("ps", "-aq", "--filter", f"name={launch.execution_id}") == ""


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"Entrypoint": ["echo", "a"], "Parameters": ["b"]}, "a b"),
        ({"Entrypoint": ["echo", "alone"], "Parameters": []}, "alone"),
        ({"Entrypoint": [], "Parameters": ["echo", "c"]}, "c"),
        ({"Parameters": ["pwd"], "WorkingDirectory": "/made/for/it"}, "/made/for/it"),
    ],
)
async def test_entrypoint_parameters_and_directory(bench: Bench, params: dict[str, object], says: str) -> None:
    launch = bench.launch(params=params)
    assert (await bench.run(launch)).cause is None
    assert launch.stdout.read_text().strip() == says


async def test_container_removed_by_somebody_else_is_lost(bench: Bench) -> None:
    launch = bench.launch("sleep 30")
    engine = bench.engines[0]
    handle = await engine.start(launch)
    async with asyncio.TaskGroup() as group:
        ended = group.create_task(engine.wait(launch, handle))
        await asyncio.to_thread(docker, "rm", "-f", launch.execution_id)
    assert ended.result().cause in {Cause.AGENT, Cause.SIGNAL}
    await engine.forget(launch, handle)
    assert await engine.adopt(launch, handle) is None


async def test_limit_that_the_engine_refuses_is_told(bench: Bench) -> None:
    with pytest.raises(EngineError, match=r"container refused: .*memory") as raised:
        await bench.engines[0].start(bench.launch(memory=1_000_000))
    assert raised.value.cause is Cause.EXIT


async def test_no_engine_is_found_where_none_listens(tmp_path: Path) -> None:
    assert await DockerEngine.connect(f"unix://{tmp_path}/docker.sock") is None


@pytest.fixture
def private() -> Iterator[PrivateEngine]:
    with private_engine() as engine:
        build_image("ubuntu", engine.host)
        yield engine


class Away:
    """An execution on an engine of its own, which goes away in its middle."""

    def __init__(self, bench: Bench, private: PrivateEngine) -> None:
        self.bench = bench
        self.private = private
        (bench.home / "out").mkdir()
        script = "echo one; while ! test -e /out/go; do sleep 0.05; done; echo two; exit 5"
        mounts = (Mount(source=bench.home / "out", target="/out"),)
        self.launch = bench.launch(
            script, outputs=mounts, params={"Image": "ubuntu"}, network=NetworkConfig(type="Default")
        )

    async def run(self, number: signal.Signals, *flags: str) -> Outcome:
        """End the engine, see that it is missed, start it again; how the execution ended."""
        engine = await DockerEngine.connect(self.private.host)
        assert engine is not None
        try:
            return await self._run(engine, number, *flags)
        finally:
            await engine.close()

    async def _run(self, engine: DockerEngine, number: signal.Signals, *flags: str) -> Outcome:
        handle = await engine.start(self.launch)
        async with asyncio.TaskGroup() as group:
            ended = group.create_task(engine.wait(self.launch, handle))
            await until(lambda: self.launch.stdout.exists() and self.launch.stdout.read_text() == "one\n")
            await asyncio.to_thread(self.private.end, number)
            await self._is_missed(engine, handle)
            assert not ended.done()
            await asyncio.to_thread(self.private.start, *flags)
            (self.bench.home / "out" / "go").touch()
        await engine.forget(self.launch, handle)
        return ended.result()

    async def _is_missed(self, engine: DockerEngine, handle: Handle) -> None:
        for call in (
            engine.adopt(self.launch, handle),
            engine.remove_strangers(self.launch.owner, frozenset),
            engine.forget(self.launch, handle),
        ):
            with pytest.raises(EngineUnavailableError):
                await call
        with pytest.raises(EngineError) as raised:
            await engine.start(self.bench.launch(params={"Image": "ubuntu"}))
        assert raised.value.cause is Cause.AGENT


async def test_engine_that_restarts_keeping_containers_loses_nothing(bench: Bench, private: PrivateEngine) -> None:
    private.end()
    private.start("--live-restore")
    away = Away(bench, private)
    outcome = await away.run(signal.SIGKILL, "--live-restore")
    assert (outcome.exit_code, outcome.cause, away.launch.stdout.read_text()) == (5, Cause.EXIT, "one\ntwo\n")


async def test_engine_that_ends_containers_when_it_restarts_pays_itself(bench: Bench, private: PrivateEngine) -> None:
    away = Away(bench, private)
    outcome = await away.run(signal.SIGKILL)
    assert (outcome.cause, away.launch.stdout.read_text().splitlines()[0]) == (Cause.AGENT, "one")


async def test_engine_without_a_bridge_has_no_network_by_default(private: PrivateEngine, tmp_path: Path) -> None:
    private.end()
    private.start("--bridge", "none")
    engine = await DockerEngine.connect(private.host)
    assert engine is not None
    bench = Bench("docker", tmp_path)
    launch = bench.launch("ip -o link | wc -l", params={"Image": "ubuntu"}, network=NetworkConfig(type="Default"))
    handle = await engine.start(launch)
    assert (await engine.wait(launch, handle)).cause is None
    shown = await asyncio.to_thread(
        docker, "inspect", "-f", "{{.HostConfig.NetworkMode}}", launch.execution_id, host=private.host
    )
    await engine.forget(launch, handle)
    await engine.close()
    assert (shown, launch.stdout.read_text()) == ("none", "1\n")

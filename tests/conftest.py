"""What all tests share: an orchestrator in the process; clusters of real ones, whose logs are shown with a test that fails."""

from collections.abc import AsyncIterator, Generator, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.helpers.processes import Cluster
from tests.helpers.server import Api, orchestrator


class StartCluster:
    """Starts clusters below one directory, and ends them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.clusters: list[Cluster] = []

    def __call__(
        self,
        nodes: int = 1,
        *,
        lease: float = 4.0,
        fence: float = 600.0,
        cpu: float = 2,
        engines: str = "process",
        flags: tuple[str, ...] = (),
        environ: Mapping[str, str] = MappingProxyType({}),
    ) -> Cluster:
        """Start `serve` and so many nodes, all with these flags, and wait until they are connected."""
        cluster = Cluster(self.home / f"cluster{len(self.clusters)}", lease=lease, fence=fence)
        cluster.environ.update(environ)
        self.clusters.append(cluster)
        cluster.start_serve()
        for number in range(1, nodes + 1):
            cluster.start_node(cluster.node(number), *flags, cpu=cpu, engines=engines)
        if nodes:
            cluster.wait_connected()
        return cluster

    def close(self) -> None:
        """End all of them."""
        for cluster in self.clusters:
            cluster.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and isinstance(item, pytest.Function):
        for value in item.funcargs.values():
            clusters = (
                value.clusters if isinstance(value, StartCluster) else [value] if isinstance(value, Cluster) else []
            )
            report.sections += [("cluster", cluster.logs()) for cluster in clusters]
    return report


@pytest.fixture
def start_cluster(tmp_path: Path) -> Iterator[StartCluster]:
    """For tests that break something: `start_cluster(nodes=3, lease=4, cpu=2, flags=[...])`."""
    start = StartCluster(tmp_path)
    try:
        yield start
    finally:
        start.close()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One cluster for all tests of a worker that break nothing: three nodes of two cores, process engine.

    Its nodes may read what lies below `cluster.home / "inputs"`, and the samples. Names of jobs are unique to a test.
    """
    start = StartCluster(tmp_path_factory.mktemp("shared"))
    try:
        inputs = start.home / "cluster0" / "inputs"
        inputs.mkdir(parents=True)
        samples = Path(__file__).resolve().parent.parent / "samples"
        yield start(nodes=3, lease=10, flags=("--allow-path", f"{inputs}/**", "--allow-path", f"{samples}/**"))
    finally:
        start.close()


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """An orchestrator in this process, over a loopback port."""
    async with orchestrator(tmp_path / "data") as url:
        api = Api(url)
        yield api
        await api.http.aclose()

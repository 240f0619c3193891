"""What all tests share: a cluster of real processes, whose logs are shown when a test fails."""

from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from tests.helpers.processes import Cluster

FAILED = pytest.StashKey[bool]()

StartCluster = Callable[..., Cluster]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report


@pytest.fixture
def start_cluster(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[StartCluster]:
    """Start `serve` and so many nodes with these flags: `start_cluster(nodes=3, lease=4, cpu=2, flags=[...])`."""
    clusters: list[Cluster] = []

    def start(
        nodes: int = 1,
        *,
        lease: float = 4.0,
        fence: float = 600.0,
        cpu: float = 2,
        engines: str = "process",
        flags: tuple[str, ...] = (),
    ) -> Cluster:
        cluster = Cluster(tmp_path / f"cluster{len(clusters)}", lease=lease, fence=fence)
        clusters.append(cluster)
        cluster.start_serve()
        for number in range(1, nodes + 1):
            cluster.start_node(cluster.node(number), *flags, cpu=cpu, engines=engines)
        if nodes:
            cluster.wait_connected()
        return cluster

    yield start
    for cluster in clusters:
        if request.node.stash.get(FAILED, False):
            print(cluster.logs())  # noqa: T201 - pytest shows it with the failure
        cluster.close()


@pytest.fixture
def cluster(start_cluster: StartCluster) -> Cluster:
    """`serve` and three nodes of two cores each, process engine."""
    return start_cluster(nodes=3)

"""Lines that are slow, clocks that are wrong, and everybody at once."""

import asyncio
import ctypes
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import StartCluster
from tests.helpers.docker import missing
from tests.helpers.jobs import ONCE, shell_job
from tests.helpers.processes import NODES, Cluster, wait_until
from tests.helpers.server import Agent, Api
from tests.helpers.slowlink import slow_link

PATHS = [{"Name": "out", "Path": "/outputs"}]
SCRIPT = 'seq 20000; echo "$BACALHAU_PARTITION_INDEX" >"$BACALHAU_OUTPUTS/index"'


def works_as_usual(cluster: Cluster) -> None:
    """A job with logs and results runs through, nothing is lost or run again."""
    job_id = cluster.submit(shell_job("slow", SCRIPT, count=10, Retry=ONCE | {"MaxLost": 0}, ResultPaths=PATHS))
    assert cluster.wait_ended(job_id, 60) == "Completed", cluster.rows(job_id, "failed")
    assert {row["Attempts"] for row in cluster.rows(job_id)} == {1}
    log = cluster.shoal("job", "logs", job_id, "--select", "3")
    assert log.out.splitlines() == [str(number) for number in range(1, 20001)]
    assert cluster.shoal("job", "get", job_id).code == 0
    assert len(list((cluster.home / f"job-{job_id}").glob("partition-*/out/index"))) == 10


def test_a_node_behind_a_slow_line_keeps_its_lease_and_loses_nothing(start_cluster: StartCluster) -> None:
    cluster = start_cluster(nodes=0, lease=4)
    with slow_link(cluster.port, 0.2) as port:
        near, cluster.url = cluster.url, f"http://127.0.0.1:{port}"
        cluster.start_node(cluster.node(1))
        cluster.url = near
        try:
            cluster.wait_connected()
            works_as_usual(cluster)
        finally:
            cluster.close()


@contextmanager
def bad_network() -> Iterator[None]:
    """This thread and what it starts are in a network of their own, whose packets are late and sometimes lost."""
    if os.geteuid() != 0 or not shutil.which("ip") or not shutil.which("tc"):
        missing("root with ip and tc")
    name = f"shoal-{uuid.uuid4().hex[:8]}"
    libc = ctypes.CDLL(None, use_errno=True)
    if subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode != 0:
        missing("the right to make a network namespace")
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        inside = ["ip", "netns", "exec", name]
        subprocess.run([*inside, "ip", "link", "set", "lo", "up"], check=True)
        rule = [*inside, "tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "100ms", "loss", "5%"]
        done = subprocess.run(rule, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"the kernel has no netem: {done.stderr.strip()}")
        there = os.open(f"/run/netns/{name}", os.O_RDONLY)
        assert libc.setns(there, 0) == 0
        os.close(there)
        yield
    finally:
        assert libc.setns(here, 0) == 0
        os.close(here)
        subprocess.run(["ip", "netns", "del", name], check=True)


def test_a_cluster_whose_packets_are_late_and_lost_works_as_usual(start_cluster: StartCluster) -> None:
    with bad_network():
        cluster = start_cluster(nodes=2, lease=8)
        try:
            works_as_usual(cluster)
        finally:
            cluster.close()


@pytest.mark.parametrize("shift", ["+1h", "-1h"])
def test_a_node_whose_clock_is_an_hour_off_is_like_any_other(start_cluster: StartCluster, shift: str) -> None:
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    if library is None:
        missing("libfaketime (the Debian package faketime)")
    cluster = start_cluster(nodes=0, lease=3)
    honest = cluster.environ.copy()
    cluster.environ |= {"LD_PRELOAD": str(library), "FAKETIME": shift, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    cluster.start_node(cluster.node(1))
    cluster.environ.clear()
    cluster.environ.update(honest)
    cluster.wait_connected()
    began = time.time()
    job_id = cluster.submit(shell_job("off", "date +%s; sleep 4", Retry=ONCE | {"MaxLost": 0}))
    assert cluster.wait_ended(job_id, 30) == "Completed", "longer than its lease, and not lost"
    told = cluster.get(f"/api/v1/orchestrator/jobs/{job_id}/partitions/0")
    assert told["Attempts"][0]["Started"], told
    year, hour = told["Attempts"][0]["Started"][:4], told["Attempts"][0]["Started"][:13]
    assert year == time.strftime("%Y", time.gmtime(began))
    assert hour in {time.strftime("%Y-%m-%dT%H", time.gmtime(at)) for at in (began, began + 30)}, (
        "the orchestrator's time"
    )


def test_a_node_whose_machine_says_it_has_run_for_longer_is_like_any_other(start_cluster: StartCluster) -> None:
    probe = ["unshare", "--time", "--boottime", "3600", "--monotonic", "3600", "true"]
    if not shutil.which("unshare") or subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        missing("the right to make a time namespace")
    cluster = start_cluster(nodes=1, lease=4)
    (name,) = cluster.nodes
    job_id = cluster.submit(shell_job("jump", "sleep 3; echo done", count=2))
    wait_until(lambda: len(cluster.rows(job_id, "running")) == 2, 20, "both run")
    cluster.nodes[name].kill()
    cluster.start_node(name, wrap=tuple(probe[:-1]))
    assert cluster.wait_ended(job_id, 40) == "Completed", "an agent whose clock jumped adopts, or says that it cannot"
    wait_until(lambda: not cluster.programs(), 15, "nothing is left")


COUNT = 200


async def test_two_hundred_agents_at_once_are_all_heard_again(start_cluster: StartCluster) -> None:
    cluster = await asyncio.to_thread(lambda: start_cluster(nodes=0, lease=10))
    api = Api(cluster.url)
    agents = [Agent(api, f"n{number}", cpu=1, session=f"s{number}") for number in range(COUNT)]
    await asyncio.gather(*(agent.sync() for agent in agents))
    job_id = await api.submit("crowd", count=COUNT, cpu="1")
    await asyncio.gather(*(agent.sync() for agent in agents))
    ours = {agent.name: agent.at(agent_index(agent)) for agent in agents}
    for agent in agents:
        agent.run(agent_index(agent))
    await asyncio.gather(*(agent.sync() for agent in agents))

    assert cluster.serve is not None
    cluster.serve.kill()
    await asyncio.to_thread(cluster.start_serve)
    began = time.monotonic()
    for agent in agents:
        agent.end(agent_index(agent))
    answers = await asyncio.gather(*(agent.sync(wait=1.0) for agent in agents))
    assert time.monotonic() - began < 10, "well within their lease"
    assert all(answer.lease_seconds == 10 for answer in answers)
    assert await asyncio.to_thread(cluster.wait_ended, job_id, 10) == "Completed"
    rows = await asyncio.to_thread(cluster.rows, job_id)
    assert {row["NodeID"]: row["ExecutionID"] for row in rows} == ours, "nothing was run again"
    assert {row["Attempts"] for row in rows} == {1}
    assert len(await asyncio.to_thread(cluster.connected)) == COUNT
    assert len((await api.get(f"{NODES}?limit=1000"))["Nodes"]) == COUNT + 1
    await api.http.aclose()


def agent_index(agent: Agent) -> int:
    """The partition that an agent of one core was given."""
    (assignment,) = agent.assigned.values()
    return assignment.index

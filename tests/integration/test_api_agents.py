"""What agents call: sync held and answered, uploads taken and refused, results fetched back."""

import asyncio
import gzip
import io
import tarfile
from pathlib import Path

import msgspec

from orchestrator.contract.agent import LogMark
from orchestrator.contract.execution import Cause
from orchestrator.contract.job import SpecConfig
from orchestrator.store.sqlite import SqliteStore
from tests.helpers.server import JOBS, Agent, Api, orchestrator


def archive(index: int, content: bytes = b"hello") -> bytes:
    """An archive as agents make it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        member = tarfile.TarInfo(f"partition-{index}/stdout")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), mtime=0)


async def test_a_sync_is_held_until_there_is_something_new(api: Api) -> None:
    agent = Agent(api)
    first = await agent.sync(wait=10)
    assert (first.assignments, first.lease_seconds, first.fence_seconds) == ((), 30, 600)
    held = asyncio.ensure_future(agent.sync(wait=10))
    await asyncio.sleep(0.2)
    assert not held.done()
    job_id = await api.submit(count=2)
    async with asyncio.timeout(8):
        answer = await held
    assert [(one.index, one.attempt, one.job_id) for one in answer.assignments] == [(0, 1, job_id), (1, 1, job_id)]
    assert [job.id for job in answer.jobs] == [job_id]
    known = await agent.sync(held=((job_id, 1),))
    assert (len(known.assignments), known.jobs) == (2, ())


async def test_a_held_sync_ends_with_its_wait(api: Api) -> None:
    agent = Agent(api)
    await agent.sync()
    began = asyncio.get_running_loop().time()
    await agent.sync(wait=0.3)
    assert 0.25 < asyncio.get_running_loop().time() - began < 3


async def test_a_newer_sync_answers_the_held_one_at_once(api: Api) -> None:
    agent = Agent(api)
    await agent.sync()
    older = asyncio.ensure_future(agent.sync(wait=10))
    await asyncio.sleep(0.1)
    newer = asyncio.ensure_future(agent.sync(wait=10))
    async with asyncio.timeout(8):
        answer = await older
    assert answer.seq == 2
    assert not newer.done()
    newer.cancel()


async def test_held_syncs_are_answered_when_the_orchestrator_ends(tmp_path: Path) -> None:
    async with orchestrator(tmp_path) as url:
        api = Api(url)
        agent = Agent(api)
        await agent.sync()
        held = asyncio.ensure_future(agent.sync_raw(wait=10))
        await asyncio.sleep(0.1)
    async with asyncio.timeout(8):
        assert (await held).status_code == 200
    await api.http.aclose()


async def test_another_session_is_refused_while_the_first_holds_the_node(api: Api) -> None:
    await Agent(api).sync()
    answer = await Agent(api, session="s2").sync_raw()
    assert (answer.status_code, answer.json()["Code"]) == (409, "ConflictNodeState")
    assert "s1" in answer.json()["Message"]


async def test_a_sync_that_makes_no_sense_is_refused(api: Api) -> None:
    for body in (b"", b"{", b"[]", b'{"Session": 3}'):
        answer = await api.ask("POST", "/api/v1/agents/n1/sync", body)
        assert (answer.status_code, answer.json()["Code"]) == (400, "BadRequest"), body
    unknown = Agent(api)
    unknown.seq = 1
    assert (await unknown.sync_raw()).status_code in (400, 403)


async def test_a_log_is_taken_by_offset_and_only_from_its_own_node(api: Api) -> None:
    agent, other = Agent(api), Agent(api, "n2")
    await api.submit(count=1)
    await agent.sync()
    await other.sync()
    execution = agent.at(0)
    assert (await agent.put_log(execution, "out", 0, b"abc", (LogMark(offset=3, at=0.5),))).json() == {"Size": 3}
    assert (await agent.put_log(execution, "out", 1, b"bcd")).json() == {"Size": 4}
    assert (await agent.put_log(execution, "out", 9, b"x")).json() == {"Size": 4}
    assert (await agent.put_log(execution, "out", 9, b"x", gap="true")).json() == {"Size": 10}
    assert (await other.put_log(execution, "out", 0, b"abc")).status_code == 409
    assert (await agent.put_log(execution, "up", 0, b"abc")).status_code == 400
    assert (await agent.put_log(execution, "out", -1, b"abc")).status_code == 400
    missing = execution[:-4] + "0000"
    assert (await agent.put_log(missing, "out", 0, b"abc")).status_code == 404
    assert (await agent.put_log("nope", "out", 0, b"abc")).status_code == 404
    assert (await Agent(api, session="s2").put_log(execution, "out", 0, b"abc")).status_code == 409
    assert (await Agent(api, "n3").put_log(execution, "out", 0, b"abc")).status_code == 403
    large = b"x" * 11_000_000
    assert (await agent.put_log(execution, "err", 0, large)).json() == {"Size": len(large)}


async def test_a_job_without_an_end_has_no_results(api: Api) -> None:
    for kind in ("service", "daemon"):
        await api.submit(kind, Type=kind, count=1)
        refused = await api.ask("GET", f"{JOBS}/{kind}/results")
        said = refused.json()
        assert (refused.status_code, said["Code"]) == (400, "BadRequest")
        assert said["Message"] == f"job type {kind} does not support results"


async def test_a_result_is_kept_listed_and_fetched(api: Api) -> None:
    agent = Agent(api)
    job_id = await api.submit(count=2, Publisher={"Type": "orchestrator"})
    await agent.sync()
    missing = await api.ask("GET", f"{JOBS}/golden/results/1.tar.gz")
    assert (missing.status_code, missing.json()["Component"]) == (404, "ResultStore")
    assert "has no success yet, it is assigned" in missing.json()["Message"]
    for index in (1, 0):
        kept = await agent.put_result(agent.at(index), archive(index))
        assert kept.status_code == 200, kept.text
        agent.end(index, published=msgspec.json.decode(kept.content, type=SpecConfig))
        await agent.sync()
    items = (await api.get(f"{JOBS}/golden/results"))["Items"]
    urls = [f"{api.url}{JOBS}/{job_id}/results/{index}.tar.gz" for index in (0, 1)]
    assert items == [{"Type": "urlDownload", "Params": {"URL": url}} for url in urls]
    fetched = await api.ask("GET", urls[1])
    assert fetched.content == archive(1)
    assert fetched.headers["content-type"] == "application/gzip"
    for file in ("2.tar.gz", "x.tar.gz", "0"):
        assert (await api.ask("GET", f"{JOBS}/golden/results/{file}")).status_code == 404


async def test_a_part_of_an_archive_is_fetched(api: Api) -> None:
    agent = Agent(api)
    await api.submit(count=1, Publisher={"Type": "orchestrator"})
    await agent.sync()
    execution = agent.at(0)
    await agent.put_result(execution, archive(0))
    agent.end(0, published=SpecConfig(type="urlDownload"))
    await agent.sync()
    whole = archive(0)
    size = len(whole)

    async def part(wanted: str, **headers: str) -> tuple[int, bytes, str]:
        answer = await api.ask(
            "GET",
            f"{JOBS}/golden/results/0.tar.gz",
            headers={"Range": wanted, "Accept-Encoding": "identity", **headers},
        )
        return answer.status_code, answer.content, answer.headers.get("content-range", "")

    assert await part("bytes=2-4") == (206, whole[2:5], f"bytes 2-4/{size}")
    assert await part("bytes=5-") == (206, whole[5:], f"bytes 5-{size - 1}/{size}")
    assert await part("bytes=-3") == (206, whole[-3:], f"bytes {size - 3}-{size - 1}/{size}")
    assert await part("bytes=0-999999") == (206, whole, f"bytes 0-{size - 1}/{size}")
    assert await part("bytes=2-4", **{"If-Range": f'"{execution}"'}) == (206, whole[2:5], f"bytes 2-4/{size}")
    for all_of_it in ("bytes=4-2", "bytes=1-2,4-5", "lines=1-2", "bytes=-"):
        assert await part(all_of_it) == (200, whole, "")
    assert await part("bytes=2-4", **{"If-Range": '"other"'}) == (200, whole, "")
    for beyond in (f"bytes={size}-", "bytes=-0"):
        assert (await part(beyond))[0] == 416


async def test_a_result_of_what_ended_or_is_no_archive_is_refused(api: Api) -> None:
    agent = Agent(api)
    await api.submit(count=2, Publisher={"Type": "orchestrator"}, Retry={"MaxAttempts": 1})
    await agent.sync()
    execution = agent.at(0)
    bad = await agent.put_result(execution, b"no archive")
    assert (bad.status_code, bad.json()["Code"]) == (409, "ResultRefused")
    escaping = archive(1)
    assert (await agent.put_result(execution, escaping)).status_code == 409
    agent.end(0, exit_code=1, cause=Cause.EXIT)
    await agent.sync()
    late = await agent.put_result(execution, archive(0))
    assert (late.status_code, late.json()["Code"]) == (410, "Gone")
    assert (await agent.put_log(execution, "out", 0, b"late logs are welcome\n")).status_code == 200


async def test_results_of_an_execution_that_failed_after_all_are_dropped(tmp_path: Path) -> None:
    async with orchestrator(tmp_path) as url:
        agent = Agent(Api(url))
        await agent.api.submit(count=1, Publisher={"Type": "orchestrator"}, Retry={"MaxAttempts": 1})
        await agent.sync()
        execution = agent.at(0)
        await agent.put_result(execution, archive(0))
        kept = [path for path in tmp_path.rglob("*") if execution in path.name]  # noqa: ASYNC240
        assert kept
        agent.end(0, exit_code=1, cause=Cause.EXIT)
        await agent.sync()
        async with asyncio.timeout(10):
            while any(path.exists() for path in kept):  # noqa: ASYNC110 - files tell nobody
                await asyncio.sleep(0.01)
        await agent.api.http.aclose()


async def test_a_restarted_orchestrator_goes_on_and_runs_nothing_again(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path)
    async with orchestrator(tmp_path, store) as url:
        agent = Agent(Api(url))
        job_id = await agent.api.submit(count=2)
        await agent.sync()
        agent.run(0, 1)
        before = {one.execution_id for one in (await agent.sync()).assignments}
        await agent.api.http.aclose()
    await store.close()
    store = await SqliteStore.open(tmp_path)
    async with orchestrator(tmp_path, store) as url:
        agent.api = api = Api(url)
        after = {one.execution_id for one in (await agent.sync()).assignments}
        assert after == before
        agent.end(0)
        agent.end(1)
        await agent.sync()
        job = (await api.get(f"{JOBS}/{job_id}"))["Job"]
        assert job["State"]["StateType"] == "Completed"
        assert len((await api.get(f"{JOBS}/{job_id}/executions"))["Items"]) == 2
        await api.http.aclose()
    await store.close()

"""Bad input is refused with its path, nothing stored: never a 500, never a traceback."""

import http.client
import json
import random
import string
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.jobs import shell_job
from tests.helpers.processes import JOBS, NODES, Answer, Cluster, plain


@pytest.mark.parametrize(
    ("text", "line", "needle"),
    [
        ("Name: x\nType: batch\nCuont: 3\nTasks: []\n", 3, "Count"),
        ("Name: x\nType: batch\nCount: three\n", 3, "Count"),
        ("Name: x\nType: batch\nName: y\n", 3, "Name"),
        ("Name: x\nType: btach\n", 2, "batch"),
        ("Name: [x\n", 1, ""),
        ("- a\n- b\n", 1, ""),
        ("", 1, ""),
        ("Name: a/b\nType: batch\n", 1, "Name"),
        ("Name: 2024-01-01\nType: batch\n", 1, "quote"),
    ],
    ids=["unknown", "type", "twice", "word", "yaml", "list", "empty", "slash", "date"],
)
def test_a_bad_job_file_is_exit_2_with_the_line(
    shared: Cluster, tmp_path: Path, text: str, line: int, needle: str
) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(text)
    before = shared.get(f"{JOBS}?limit=1000")["Items"]
    for verb in ("run", "validate"):
        done = shared.shoal("job", verb, file)
        assert done.code == 2, done
        assert done.out == ""
        assert needle in done.err
    if text:
        machine = shared.shoal("job", "run", file, "--json")
        problems = json.loads(machine.err)["Error"]["Problems"]
        assert line in [problem["Line"] for problem in problems], machine
    assert shared.get(f"{JOBS}?limit=1000")["Items"] == before


def test_a_job_file_with_many_mistakes_has_all_of_them_told(shared: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(
        "Name: many\nType: batch\nCount: -1\nRetry: {MaxAttempts: 0}\nTasks:\n  - Name: main\n"
        "    Engine: {Type: docker, Params: {}}\n    Resources: {Memory: 3 lions}\n    Publisher: {Type: pigeon}\n"
    )
    done = shared.shoal("job", "validate", file, "--json")
    assert done.code == 2, done
    paths = {problem["Path"] for problem in json.loads(done.err)["Error"]["Problems"]}
    assert paths == {
        "Count",
        "Retry.MaxAttempts",
        "Tasks[0].Engine.Params.Image",
        "Tasks[0].Resources.Memory",
        "Tasks[0].Publisher.Type",
    }


@pytest.mark.parametrize(
    ("args", "code", "needle"),
    [
        (("job", "describe", "nobody"), 3, "nobody"),
        (("job", "logs", "nobody"), 3, "nobody"),
        (("job", "retry", "nobody", "--failed"), 3, "nobody"),
        (("job", "stop", "nobody"), 3, "nobody"),
        (("job", "get", "nobody"), 3, "nobody"),
        (("node", "describe", "nobody"), 3, "nobody"),
        (("job", "run", "/no/such/file.yaml"), 2, "/no/such/file.yaml"),
        (("job", "lits"), 2, "list"),
        (("job", "list", "--limt", "3"), 2, "--limit"),
        (("logs", "x"), 2, "shoal job logs"),
    ],
)
def test_a_command_that_makes_no_sense_says_so(shared: Cluster, args: tuple[str, ...], code: int, needle: str) -> None:
    done = shared.shoal(*args)
    assert (done.code, done.out) == (code, ""), done
    assert needle in done.err


def test_an_orchestrator_that_is_not_there_is_exit_5(shared: Cluster) -> None:
    done = shared.shoal("job", "list", SHOAL_API_PORT="1")
    assert done.code == 5, done
    assert "127.0.0.1:1" in done.err
    assert "shoal devstack" in done.err or "shoal serve" in done.err


def raw(cluster: Cluster, method: str, path: str, body: bytes, kind: str = "application/json") -> tuple[int, Any]:
    """Status and body of a request as it is sent."""
    request = urllib.request.Request(cluster.url + path, body, {"Content-Type": kind}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, plain(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, plain(error.read())


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{not json", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b'{"Job": 3}', "application/json", 400),
        (b"Name: x", "application/yaml", 415),
        (b"[" * 100_000, "application/json", 400),
    ],
    ids=["no-json", "list", "bytes", "number", "yaml", "deep"],
)
def test_a_body_that_makes_no_sense_is_refused_in_the_envelope(
    shared: Cluster, body: bytes, kind: str, status: int
) -> None:
    found, answer = raw(shared, "PUT", JOBS, body, kind)
    assert found == status
    assert answer["Message"]
    assert answer["Status"] == status


def test_a_body_that_is_too_large_is_refused_before_it_was_sent(shared: Cluster) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", shared.port, timeout=10)
    connection.putrequest("PUT", JOBS)
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", "10000001")
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 413
    assert json.load(answer)["Status"] == 413
    connection.close()


def test_an_unknown_job_or_node_is_404_with_what_was_looked_for(shared: Cluster) -> None:
    for path in (f"{JOBS}/nobody", f"{JOBS}/nobody/partitions", f"{JOBS}/nobody/executions", f"{NODES}/nobody"):
        with pytest.raises(Answer) as refused:
            shared.get(path)
        assert refused.value.status == 404
        assert "nobody" in refused.value.body["Message"]


def spoilt(job: dict[str, Any], chance: random.Random) -> Iterator[Any]:
    """The job with one place replaced by something that nobody meant, again and again."""
    strange: list[Any] = [
        None,
        True,
        -1,
        2**70,
        1e308,
        "",
        "\x00",
        "🐟" * 300,
        [],
        {},
        [[]],
        {"": {}},
        "0x10",
        "1e9999",
    ]
    while True:
        copy = json.loads(json.dumps(job))
        place, key = copy, chance.choice(list(copy))
        while isinstance(place[key], dict | list) and place[key] and chance.random() < 0.75:
            place = place[key]
            key = chance.choice(list(place)) if isinstance(place, dict) else chance.randrange(len(place))
        if isinstance(place, dict) and chance.random() < 0.3:
            place["".join(chance.choices(string.printable, k=5))] = chance.choice(strange)
        else:
            place[key] = chance.choice(strange)
        yield copy


def test_spoilt_jobs_are_never_a_500(shared: Cluster) -> None:
    chance = random.Random(20)
    job = shell_job(
        "spoilt",
        "true",
        count=2,
        Priority=3,
        Labels={"a": "b"},
        Constraints=[{"Key": "region", "Operator": "in", "Values": ["nowhere-at-all"]}],
        Retry={"MaxAttempts": 2, "MaxLost": 1, "Backoff": {"Initial": 1, "Factor": 2, "Max": 5, "Jitter": True}},
        Env={"A": "1"},
        Timeouts={"ExecutionTimeout": 5, "QueueTimeout": 1},
        ResultPaths=[{"Name": "out", "Path": "/outputs"}],
        InputSources=[{"Source": {"Type": "local", "Params": {"SourcePath": "/x"}}, "Target": "/inputs"}],
        Network={"Type": "None"},
    )
    spoils = spoilt(job, chance)
    for number in range(150):
        body = next(spoils)
        status, answer = raw(shared, "PUT", JOBS, json.dumps({"Job": body, "Force": True}).encode())
        assert status in (200, 400, 409), (number, body, answer)
        if status == 400:
            assert answer["Message"], body


def test_spoilt_queries_are_never_a_500(shared: Cluster) -> None:
    job_id = shared.submit(shell_job("queried", "true"))
    shared.wait_ended(job_id)
    chance = random.Random(7)
    names = (
        "select",
        "limit",
        "next_token",
        "order_by",
        "after",
        "labels",
        "include",
        "offset",
        "attempt",
        "namespace",
    )
    values = (
        "",
        "-1",
        "9" * 40,
        "%00",
        "%FF",
        "a:b:c",
        "0-",
        "5-2",
        "err~%22",
        "!!",
        "(",
        "attempt%3E",
        "group:",
        "bnVsbA",
    )
    paths = (
        "",
        "/partitions",
        "/partitions/0",
        "/partitions/x",
        "/executions",
        "/history",
        "/failures",
        "/explain",
        "/results",
    )
    for _ in range(150):
        query = "&".join(f"{chance.choice(names)}={chance.choice(values)}" for _ in range(chance.randint(1, 3)))
        where = chance.choice((f"{JOBS}/{job_id}{chance.choice(paths)}", JOBS, NODES))
        status, answer = raw_get(shared, f"{where}?{query}")
        assert status in (200, 400, 404), (where, query, answer)


def raw_get(cluster: Cluster, path: str) -> tuple[int, Any]:
    """Status and body of a GET."""
    try:
        return 200, cluster.get(path)
    except Answer as refused:
        return refused.status, refused.body

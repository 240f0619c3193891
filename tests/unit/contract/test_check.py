"""Rules of a job that go beyond types, each with its sentence."""

from typing import Any

import msgspec
import pytest

from orchestrator.contract.check import check
from orchestrator.contract.decode import decode_job
from orchestrator.contract.job import Job, Retry, SpecConfig
from tests.unit.contract.builders import engine, plain_job, source

TASK = "task main validation failed: "
TOO_LONG = "execution timeout {} and queue timeout {} should be less than total timeout {}"
LONG_PORT_NAME = (
    "port name must be a valid environment variable name: start with letter/underscore"
    " and contain only letters, numbers, and underscores"
)


def ports(mode: str, *some: dict[str, Any]) -> dict[str, Any]:
    return {"Network": {"Type": mode, "Ports": list(some)}}


def result(name: str, path: str) -> dict[str, str]:
    return {"Name": name, "Path": path}


SENTENCES: list[tuple[dict[str, Any], str]] = [
    ({"Type": ""}, "missing job type"),
    ({"Type": "bach"}, 'invalid job type: "bach"'),
    ({"Type": "Batch"}, 'invalid job type: "Batch"'),
    ({"Count": -1}, "job count must be >= 0"),
    ({"Count": 1_000_001}, "job count must be <= 1000000"),
    ({"Tasks": []}, "missing job tasks"),
    (
        {"Constraints": [{"Key": " ", "Operator": "exists"}]},
        "constraint 1 validation failed: selector key cannot be blank",
    ),
    (
        {"Constraints": [{"Key": "a", "Operator": "exists"}, {"Key": "a", "Operator": "in"}]},
        "constraint 2 validation failed: selector values cannot be empty for In or NotIn operators",
    ),
    (
        {"Constraints": [{"Key": "a", "Operator": "!", "Values": ["b"]}]},
        "constraint 1 validation failed: selector values must be empty for Exists or KeyNotInImap operators",
    ),
    (
        {"Constraints": [{"Key": "a", "Operator": "="}]},
        "constraint 1 validation failed: selector values must have exactly one value for other operators",
    ),
    (
        {"Constraints": [{"Key": "a", "Operator": "gt", "Values": ["x"]}]},
        "constraint 1 validation failed: for 'Gt', 'Lt' operators, the value must be an integer",
    ),
    ({"Engine": None}, f"{TASK}invalid engine: nil spec config"),
    ({"Engine": {"Type": " "}}, f"{TASK}invalid engine: missing spec type"),
    ({"Engine": engine("wasm")}, f"{TASK}invalid wasm engine param: 'EntryModule' cannot be empty"),
    ({"Engine": engine("docker")}, f"{TASK}invalid docker engine param: 'Image' cannot be empty"),
    ({"Engine": engine("process")}, f"{TASK}invalid process engine param: 'Command' cannot be empty"),
    ({"Publisher": {"Type": "s3"}}, f"{TASK}publisher 's3' is not built yet; there are orchestrator, local"),
    ({"Env": {"": "x"}}, f"{TASK}environment variable name cannot be empty"),
    ({"Env": {"a": "x"}}, f"{TASK}environment variable 'a' must be uppercase"),
    ({"Env": {"1A": "x"}}, f"{TASK}environment variable '1A' must start with a letter"),
    ({"Env": {"_A": "x"}}, f"{TASK}environment variable '_A' must start with a letter"),
    ({"Env": {"A-B": "x"}}, f"{TASK}environment variable 'A-B' can only contain letters, numbers, and underscores"),
    ({"Env": {"AÉ": "x"}}, f"{TASK}environment variable 'AÉ' can only contain letters, numbers, and underscores"),
    ({"Env": {"BACALHAU_X": "x"}}, f"{TASK}environment variable 'BACALHAU_X' cannot start with BACALHAU_"),
    ({"Env": {"A": ""}}, f"{TASK}environment variable 'A' cannot have empty value"),
    ({"Env": {"A": None}}, f"{TASK}environment variable 'A' cannot have empty value"),
    (
        {"InputSources": [source("local", "", SourcePath="/a")]},
        f"{TASK}invalid input sources: input source is missing a target",
    ),
    ({"InputSources": [{"Target": "/a"}]}, f"{TASK}invalid input sources: invalid input source: nil spec config"),
    (
        {"InputSources": [{"Target": "/a", "Source": {}}]},
        f"{TASK}invalid input sources: invalid input source: missing spec type",
    ),
    (
        {"InputSources": [source("s3", Bucket="b")]},
        f"{TASK}invalid input sources: input source 's3' is not built yet; there are local, localDirectory, inline",
    ),
    (
        {"InputSources": [source("local", SourcePath="/a", CreateAs="x")]},
        f"{TASK}invalid input sources: invalid CreateAs value x",
    ),
    (
        {"InputSources": [source("local", "/a", "x", SourcePath="/a"), source("local", "/b", "x", SourcePath="/a")]},
        f"{TASK}input source with alias 'x' already exists",
    ),
    (
        {"InputSources": [source("local", "/a", SourcePath="/a"), source("local", "/a/", SourcePath="/a")]},
        f"{TASK}input source with target '/a/' already exists",
    ),
    ({"ResultPaths": [result("a", "")]}, f"{TASK}invalid output: missing path"),
    ({"ResultPaths": [result("", "/a")]}, f"{TASK}invalid output: missing name"),
    ({"ResultPaths": [result("a", "x")]}, f"{TASK}invalid output: result path `x` must be absolute"),
    ({"ResultPaths": [result("a", "/")]}, f"{TASK}invalid output: result path `/` cannot be kept"),
    ({"ResultPaths": [result("a", "/a"), result("a", "/b")]}, f"{TASK}result path with name 'a' already exists"),
    ({"ResultPaths": [result("a", "/a"), result("b", "/a/")]}, f"{TASK}result path '/a/' already exists"),
    (
        {"ResultPaths": [result("a", "/a")], "InputSources": [source("local", "/a", SourcePath="/x")]},
        f"{TASK}invalid output: result path '/a' is the target of an input, too",
    ),
    ({"Resources": {"CPU": "x"}}, f"{TASK}invalid resources: invalid CPU value: x"),
    ({"Resources": {"Memory": "x"}}, f"{TASK}invalid resources: invalid memory value: x"),
    ({"Resources": {"Disk": "x"}}, f"{TASK}invalid resources: invalid disk value: x"),
    ({"Resources": {"GPU": "x"}}, f"{TASK}invalid resources: invalid GPU value: x"),
    ({"Timeouts": {"ExecutionTimeout": -1}}, f"{TASK}invalid timeouts: invalid execution timeout value: 0s"),
    ({"Timeouts": {"QueueTimeout": -5}}, f"{TASK}invalid timeouts: invalid queue timeout value: -5s"),
    ({"Timeouts": {"TotalTimeout": -5}}, f"{TASK}invalid timeouts: invalid total timeout value: -5s"),
    (
        {"Timeouts": {"ExecutionTimeout": 40, "QueueTimeout": "30s", "TotalTimeout": 60}},
        f"{TASK}task timeouts validation failed: {TOO_LONG.format('40s', '30s', '1m0s')}",
    ),
    (
        {"Timeouts": {"QueueTimeout": 70, "TotalTimeout": 60}},
        f"{TASK}task timeouts validation failed: {TOO_LONG.format('1m0s', '1m10s', '1m0s')}",
    ),
    ({"Network": {"Type": "HTTP"}}, f"{TASK}network type HTTP is not built yet"),
    (
        {"Network": {"Domains": ["a.com"]}},
        f"{TASK}invalid network: domains can only be set for HTTP network mode",
    ),
    ({"Network": {"Type": "HTTP", "Domains": ["x y"]}}, f'{TASK}invalid network: invalid domain "x y"'),
    (
        {"Network": {"Type": "None", "Ports": [{"Name": "a"}]}},
        f"{TASK}invalid network: ports can only be set for Host or Bridge network modes",
    ),
    (ports("Host", {"Name": ""}), f"{TASK}invalid network: port mapping name is required"),
    (ports("Host", {"Name": "a-b"}), f"{TASK}invalid network: {LONG_PORT_NAME}"),
    (ports("Host", {"Name": "a" * 238}), f"{TASK}invalid network: port name too long (max 237 characters)"),
    (
        ports("Host", {"Name": "a", "Static": 80}),
        f"{TASK}invalid network: static port 80 is in privileged port range (1-1023)",
    ),
    (
        ports("Host", {"Name": "a", "Static": 1023}),
        f"{TASK}invalid network: static port 1023 is in privileged port range (1-1023)",
    ),
    (
        ports("Host", {"Name": "a", "Static": 65536}),
        f"{TASK}invalid network: static port 65536 is above maximum valid port 65535",
    ),
    (ports("Bridge", {"Name": "a", "Target": 65536}), f"{TASK}invalid network: invalid target port 65536"),
    (
        ports("Bridge", {"Name": "a", "HostNetwork": "x"}),
        f"{TASK}invalid network: invalid host network IP address: x",
    ),
    (ports("Host", {"Name": "a"}, {"Name": "a"}), f'{TASK}invalid network: duplicate port mapping name "a"'),
    (
        ports("Host", {"Name": "a", "Static": 2000}, {"Name": "b", "Static": 2000}),
        f"{TASK}invalid network: duplicate port mapping static port 2000",
    ),
    (
        ports("Bridge", {"Name": "a", "Target": 80}, {"Name": "b", "Target": 80}),
        f"{TASK}invalid network: duplicate port mapping target port 80",
    ),
    (
        ports("Host", {"Name": "a", "Target": 80}),
        f"{TASK}invalid network: target ports cannot be set for Host network mode",
    ),
]


@pytest.mark.parametrize(("fields", "sentence"), SENTENCES)
def test_rule_is_told_with_its_sentence(fields: dict[str, Any], sentence: str) -> None:
    assert sentence in [problem.message for problem in decode_job(plain_job(**fields)).problems]


@pytest.mark.parametrize(
    ("fields", "path", "hint"),
    [
        ({"Engine": engine("dokker")}, "Tasks[0].Engine.Type", "did you mean docker?"),
        ({"Engine": engine("noop")}, "Tasks[0].Engine.Type", ""),
        ({"Engine": engine("local", SourcePath="/a")}, "Tasks[0].Engine.Type", ""),
        ({"Publisher": {"Type": "noop"}}, "Tasks[0].Publisher.Type", ""),
        ({"Publisher": {"Type": "orchestrator", "Params": {"a": 1}}}, "Tasks[0].Publisher.Params.a", ""),
        (
            {"InputSources": [source("locl", SourcePath="/a")]},
            "Tasks[0].InputSources[0].Source.Type",
            "did you mean local?",
        ),
        ({"InputSources": [source("local", "in", SourcePath="/a")]}, "Tasks[0].InputSources[0].Target", ""),
        ({"InputSources": [source("local", "/a/../b", SourcePath="/a")]}, "Tasks[0].InputSources[0].Target", ""),
        ({"InputSources": [source("local", SourcePath="a")]}, "Tasks[0].InputSources[0].Source.Params.SourcePath", ""),
        ({"Constraints": [{"Key": "a", "Operator": "~~", "Values": ["b"]}]}, "Constraints[0].Operator", ""),
        (
            {"Constraints": [{"Key": "a", "Operator": ">", "Values": ["1"]}]},
            "Constraints[0].Operator",
            "did you mean gt?",
        ),
        (
            {"Constraints": [{"Key": "a", "Operator": "IN", "Values": ["1"]}]},
            "Constraints[0].Operator",
            "did you mean in?",
        ),
        ({"Labels": {"a b": "c"}}, "Labels.a b", ""),
        ({"Labels": {"a": "c d"}}, "Labels.a", ""),
        ({"Network": {"Type": "Bridge"}, "Engine": engine("process", Command="sh")}, "Tasks[0].Network.Type", ""),
        ({"ResultPaths": [result("../a", "/a")]}, "Tasks[0].ResultPaths[0].Name", ""),
        ({"ResultPaths": [result("stdout", "/a")]}, "Tasks[0].ResultPaths[0].Name", ""),
        ({"Namespace": "a/b"}, "Namespace", ""),
        ({"Namespace": "*"}, "Namespace", ""),
    ],
)
def test_rule_of_ours_names_path_and_nearest_word(fields: dict[str, Any], path: str, hint: str) -> None:
    (problem,) = decode_job(plain_job(**fields)).problems

    assert problem.path == path
    assert problem.hint == hint or not hint
    assert problem.found
    assert problem.allowed


@pytest.mark.parametrize(
    "name", ["", "bad name!", "Partitioned Job", "a" * 253, "日本", "a@b", "x [y] [@click=app.quit]z"]
)
def test_name_that_is_fine(name: str) -> None:
    assert decode_job(plain_job(Name=name)).problems == ()


@pytest.mark.parametrize("name", [" a", "a ", "a/b", "@a", "a" * 254, "a\nb", "a\x1b[31m", "\u202ea", "a\u00a0"])
def test_name_that_is_none_is_refused(name: str) -> None:
    assert [problem.path for problem in decode_job(plain_job(Name=name)).problems] == ["Name"]


@pytest.mark.parametrize(
    "fields",
    [
        {"Count": 0},
        {"Count": 1_000_000},
        {"Priority": -(2**63)},
        {"Env": {"A_1": "env:HOME", "B__": " "}},
        {"Engine": engine("PROCESS", command="sh", Arguments=["-c", "true"])},
        {"Publisher": {"Type": "Orchestrator"}},
        {"InputSources": [source("localDirectory", SourcePath="/a", ReadWrite="true", CreateAs="DIR")]},
        {"InputSources": [source("inline", URL="data:,hello")]},
        {"Timeouts": {"ExecutionTimeout": 30, "QueueTimeout": 30, "TotalTimeout": 60}},
        {"Constraints": [{"Key": "favour_a", "Operator": "notin", "Values": ["b", "c"]}]},
        ports("Host", {"Name": "a", "Static": 1024}, {"Name": "b", "Static": 65535}),
        ports("Bridge", {"Name": "web", "Static": 2000, "Target": 80, "HostNetwork": "127.0.0.1"}, {"Name": "b"}),
    ],
)
def test_job_that_is_fine(fields: dict[str, Any]) -> None:
    assert decode_job(plain_job(**fields)).problems == ()


def test_every_problem_of_a_job_is_told() -> None:
    bad = plain_job(Env={"a": "x", "1": "y"}, Resources={"CPU": "x", "GPU": "y"}, Count=-1, Labels={"-": "-"})

    assert [problem.path for problem in decode_job(bad).problems] == [
        "Count",
        "Labels.-",
        "Tasks[0].Env.a",
        "Tasks[0].Env.1",
        "Tasks[0].Resources.CPU",
        "Tasks[0].Resources.GPU",
    ]


def job() -> Job:
    decoded = decode_job(plain_job()).job
    assert decoded is not None
    return decoded


def test_job_that_was_not_decoded_is_checked_as_well() -> None:
    task = msgspec.structs.replace(job().task, engine=SpecConfig(type="docker", params={"Image": 5}))
    bad = msgspec.structs.replace(job(), id="j 1", meta={"a": "\0"}, priority=2**63, tasks=(task,), retry=Retry())

    assert [problem.path for problem in check(bad)] == ["ID", "Priority", "Tasks[0].Engine.Params.Image", "Meta.a"]


def test_check_of_a_good_job_finds_nothing() -> None:
    assert check(job()) == []

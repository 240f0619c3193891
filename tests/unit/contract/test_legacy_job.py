"""Jobs of Bacalhau 1.3 and before, as today's: what becomes of each field, and what is refused, by the name it was sent with."""

from typing import Any

import pytest

from orchestrator.contract.decode import decode_job, decode_request
from orchestrator.contract.job import Job
from orchestrator.contract.legacy_job import LegacySpec, as_sent, modern, result_inputs, squeezed

JOB_ID = "j-135cccb8-0b40-4f2a-9464-d09d5e0d87c3"
DOCKER = {"engine": "Docker", "docker": {"image": "busybox"}}


def spec_of(given: dict[str, Any]) -> LegacySpec:
    """A spec as it is sent."""
    spec, problems = decode_request(squeezed(given), LegacySpec, is_strict=True)
    assert spec is not None, problems
    return spec


def job_of(given: dict[str, Any], results: dict[str, str] | None = None) -> Job:
    """The job that it becomes."""
    plain, problems = modern(spec_of(given), results or {})
    assert not problems
    read = decode_job(plain)
    assert read.job is not None, read.problems
    return read.job


def refusals(given: dict[str, Any]) -> list[str]:
    """What is wrong with it."""
    spec = spec_of(given)
    plain, problems = modern(spec, {})
    return [
        f"{one.path}: {one.found} -> {one.allowed}" for one in problems or as_sent(decode_job(plain).problems, spec)
    ]


def test_every_field_that_has_one_gets_its_place() -> None:
    job = job_of(
        {
            "Engine": "docker",
            "Docker": {
                "Image": "busybox",
                "Entrypoint": ["sh", "-c"],
                "Parameters": ["true"],
                "EnvironmentVariables": ["A=1"],
                "WorkingDirectory": "/w",
            },
            "Verifier": "noop",
            "Resources": {"CPU": "500m", "Memory": "1gb"},
            "Network": {"Type": "None"},
            "Timeout": 1.5,
            "inputs": [{"StorageSource": "LocalDirectory", "SourcePath": "/data", "path": "/in"}],
            "outputs": [{"StorageSource": "IPFS", "Name": "out", "path": "/out"}],
            "Annotations": ["night", "team=sea"],
            "NodeSelectors": [{"Key": "zone", "Operator": "in", "Values": ["a", "b"]}],
            "DoNotTrack": True,
            "Deal": {"Concurrency": 3, "Confidence": 0, "MinBids": 1},
        }
    )
    task = job.task
    assert (job.type, job.count, job.labels) == ("batch", 3, {"night": "", "team": "sea"})
    assert [(one.key, one.operator, one.values) for one in job.constraints] == [("zone", "in", ("a", "b"))]
    assert task.engine.params == {
        "Image": "busybox",
        "Entrypoint": ["sh", "-c"],
        "Parameters": ["true"],
        "EnvironmentVariables": ["A=1"],
        "WorkingDirectory": "/w",
    }
    assert (task.resources.cpu, task.resources.memory) == ("500m", "1gb")
    assert (task.network.type, task.timeouts.execution_timeout) == ("None", 2)
    assert [(one.source.type, one.source.params["SourcePath"], one.target) for one in task.input_sources] == [
        ("localDirectory", "/data", "/in")
    ]
    assert [(one.name, one.path) for one in task.result_paths] == [("out", "/out")]
    assert task.publisher.type == "local", "named none, results are kept"


def test_names_match_as_python_writes_them() -> None:
    job = job_of(
        {"engine": "Docker", "docker": {"image": "b", "environment_variables": ["a_b=1"]}, "do_not_track": True}
    )
    assert job.task.engine.params["EnvironmentVariables"] == ["a_b=1"]


def test_an_engine_with_its_params_and_its_variables() -> None:
    job = job_of({"EngineSpec": {"Type": "process", "Params": {"Command": "sh"}}})
    assert job.task.engine.type == "process"
    module = {"StorageSource": "Inline", "URL": "data:application/wasm;base64,AAAA"}
    wasm = {"EntryModule": module, "EntryPoint": "go", "Parameters": ["x"], "EnvironmentVariables": {"MY_NAME": "1"}}
    job = job_of({"engine": "Wasm", "wasm": wasm})
    assert job.task.engine.params["Entrypoint"] == "go"
    assert job.task.engine.params["EntryModule"] == job.task.input_sources[0].target
    assert job.task.env == {"MY_NAME": "1"}


def test_targets_all_is_a_job_on_every_node() -> None:
    assert job_of(DOCKER | {"deal": {"targeting_mode": "all"}}).type == "ops"


@pytest.mark.parametrize(("publisher", "type_"), [("Noop", ""), ("local", "local"), ("IPFS", "local"), ("", "local")])
def test_publishers(publisher: str, type_: str) -> None:
    assert job_of(DOCKER | {"publisher": publisher}).task.publisher.type == type_


def test_results_kept_here_are_an_input_at_their_mount() -> None:
    mounts = [{"cid": f"{JOB_ID}.{index}", "path": "/in", "storagesource": "ipfs"} for index in (0, 12)]
    given = DOCKER | {"inputs": mounts}
    assert result_inputs(spec_of(given)) == {"/in": [(JOB_ID, 0), (JOB_ID, 12)]}
    (source,) = job_of(given, {"/in": "data:application/gzip;base64,AAAA"}).task.input_sources
    assert (source.source.type, source.target) == ("inline", "/in")


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ({}, ["Spec.Engine: nothing -> Docker, Wasm, Process"]),
        ({"engine": "Language"}, ["Spec.Engine: 'Language' -> Docker, Wasm, Process"]),
        ({"EngineSpec": {"Type": "noop"}}, ["Spec.EngineSpec.Type: 'noop' -> Docker, Wasm, Process"]),
        (DOCKER | {"verifier": "Deterministic"}, ["Spec.Verifier: 'Deterministic' -> Noop"]),
        (
            DOCKER | {"publisher": "Estuary"},
            ["Spec.Publisher: 'Estuary' -> Local, IPFS (kept as Local), Noop, none (then as Local)"],
        ),
        (
            DOCKER | {"PublisherSpec": {"Type": "s3"}},
            ["Spec.PublisherSpec.Type: 's3' -> Local, IPFS (kept as Local), Noop, none (then as Local)"],
        ),
        (
            DOCKER | {"language": {"Language": "python"}},
            ["Spec.Language: an object -> nothing: programs run in Docker or Wasm"],
        ),
        (DOCKER | {"deal": {"confidence": 3}}, ["Spec.Deal.Confidence: number 3 -> 0 or 1: a partition runs once"]),
        (DOCKER | {"deal": {"min_bids": 2}}, ["Spec.Deal.MinBids: number 2 -> 0 or 1: a partition runs once"]),
        (DOCKER | {"deal": {"targeting_mode": "some"}}, ["Spec.Deal.TargetingMode: 'some' -> any, all"]),
        (DOCKER | {"timeout": -1}, ["Spec.Timeout: number -1.0 -> seconds, 0 = no limit"]),
        (
            DOCKER | {"inputs": [{"storage_source": "ipfs", "cid": "Qm", "path": "/in"}]},
            [
                "Spec.inputs[0].CID: 'Qm' -> <job id>.<partition>, as `results` names them: there is no IPFS",
            ],
        ),
        (
            DOCKER | {"inputs": [{"storage_source": "URLDownload", "url": "http://x", "path": "/in"}]},
            ["Spec.inputs[0].StorageSource: 'URLDownload' -> Inline, LocalDirectory, IPFS (own results)"],
        ),
    ],
)
def test_what_cannot_be_had_is_refused(given: dict[str, Any], refused: list[str]) -> None:
    assert refusals(given) == refused


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"engine": "Docker"}, "Spec.Docker.Image"),
        ({"EngineSpec": {"Type": "docker", "Params": {"Image": "x", "Imag": "x"}}}, "Spec.EngineSpec.Params.Imag"),
        (DOCKER | {"resources": {"cpu": "much"}}, "Spec.Resources.CPU"),
        (DOCKER | {"annotations": ["a b"]}, "Spec.Annotations.a b"),
        (DOCKER | {"node_selectors": [{"key": "a", "operator": "like"}]}, "Spec.NodeSelectors[0].Operator"),
        (DOCKER | {"deal": {"concurrency": -1}}, "Spec.Deal.Concurrency"),
        (DOCKER | {"network": {"type": "Wire"}}, "Spec.Network.Type"),
    ],
)
def test_what_is_wrong_is_told_by_the_name_that_was_sent(given: dict[str, Any], path: str) -> None:
    assert [line.partition(": ")[0] for line in refusals(given)] == [path]


def test_what_no_version_had_is_refused() -> None:
    spec, problems = decode_request(squeezed(DOCKER | {"Sharding": {}}), LegacySpec, is_strict=True)
    assert spec is None
    assert [(one.path, one.found) for one in problems] == [("Sharding", "unknown key 'Sharding'")]

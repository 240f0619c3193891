"""From plain data to a job: what is lenient, what is refused, and what a job is made whole with."""

import datetime as dt
import json
from typing import Any

import msgspec
import pytest

from orchestrator.contract.api import Problem
from orchestrator.contract.decode import decode_job
from orchestrator.contract.job import Job, JobStateType, JobType, TimeoutConfig
from tests.unit.contract.builders import engine, plain_job


def decoded(raw: object, *, is_file: bool = False) -> Job:
    result = decode_job(raw, is_file=is_file)
    assert result.problems == ()
    assert result.job is not None
    return result.job


def refused(raw: object, *, is_file: bool = False) -> dict[str, Problem]:
    result = decode_job(raw, is_file=is_file)
    assert result.job is None
    assert result.problems
    return {problem.path: problem for problem in result.problems}


def test_job_is_made_whole_with_the_defaults() -> None:
    job = decoded({"Type": "batch", "Tasks": [{"Name": "main", "Engine": engine("docker", Image="busybox")}]})

    assert json.loads(msgspec.json.encode(job)) == {
        "ID": "",
        "Name": "",
        "Namespace": "default",
        "Type": "batch",
        "Priority": 0,
        "Count": 1,
        "Constraints": [],
        "Meta": {},
        "Labels": {},
        "Tasks": [
            {
                "Name": "main",
                "Engine": {"Type": "docker", "Params": {"Image": "busybox"}},
                "Publisher": {"Type": ""},
                "Resources": {"CPU": "500m", "Memory": "512mb"},
                "Network": {"Type": "Default"},
                "Timeouts": {},
            }
        ],
        "State": {"StateType": "Pending"},
        "Version": 0,
        "Revision": 0,
        "CreateTime": 0,
        "ModifyTime": 0,
    }


def test_keys_match_in_any_case_but_those_of_maps_keep_theirs() -> None:
    job = decoded(
        {
            "name": "x",
            "TYPE": "batch",
            "labels": {"tEAM": "a"},
            "meta": {"aB": "c"},
            "tasks": [
                {
                    "NAME": "m",
                    "engine": {"type": "docker", "params": {"image": "i", "Parameters": ["A"]}},
                    "env": {"ABC": "d"},
                    "resources": {"cpu": "1", "MEMORY": "1 GiB"},
                    "timeouts": {"executiontimeout": 5},
                }
            ],
        }
    )

    assert (job.name, job.labels, job.meta) == ("x", {"tEAM": "a"}, {"aB": "c"})
    assert job.task.engine.params == {"image": "i", "Parameters": ["A"]}
    assert job.task.env == {"ABC": "d"}
    assert (job.task.resources.cpu, job.task.resources.memory) == ("1", "1gib")
    assert job.task.timeouts.execution_timeout == 5


def test_null_is_absent_everywhere() -> None:
    full = plain_job(
        Publisher=None,
        Env=None,
        InputSources=None,
        ResultPaths=None,
        Resources={"CPU": None},
        Network=None,
        Timeouts={"QueueTimeout": None},
        Constraints=None,
        Meta=None,
        Labels=None,
        Retry=None,
        Namespace=None,
        Failure=None,
    )
    del full["Failure"]

    assert decoded(full) == decoded(plain_job())


@pytest.mark.parametrize(
    ("written", "seconds"), [(90, 90), ("90", 90), ("1m30s", 90), (90.0, 90), ("1h", 3600), (0, 0), (None, 0)]
)
def test_timeouts_are_whole_seconds_however_they_are_written(written: object, seconds: int) -> None:
    job = decoded(plain_job(Timeouts={"ExecutionTimeout": written}))

    assert job.task.timeouts == TimeoutConfig(execution_timeout=seconds)


@pytest.mark.parametrize("written", [1.5, "1.5", "1500ms", True, "soon", [], 10**12])
def test_timeout_that_is_no_whole_seconds_is_refused(written: object) -> None:
    problems = refused(plain_job(Timeouts={"ExecutionTimeout": written}))

    assert list(problems) == ["Tasks[0].Timeouts.ExecutionTimeout"]


def test_our_durations_may_be_fractions_and_booleans_gos_words() -> None:
    job = decoded(plain_job(Retry={"MaxAttempts": 5, "Backoff": {"Initial": "500ms", "Max": "1m", "Jitter": "F"}}))

    assert job.retry is not None
    assert job.retry.max_attempts == 5
    assert (job.retry.backoff.initial, job.retry.backoff.max, job.retry.backoff.jitter) == (0.5, 60.0, False)


@pytest.mark.parametrize(
    ("retry", "path"),
    [
        ({"MaxAttempts": 0}, "Retry.MaxAttempts"),
        ({"MaxAttempts": 101}, "Retry.MaxAttempts"),
        ({"MaxLost": -1}, "Retry.MaxLost"),
        ({"Backoff": {"Factor": 11}}, "Retry.Backoff.Factor"),
        ({"Backoff": {"Factor": 0.5}}, "Retry.Backoff.Factor"),
        ({"Backoff": {"Initial": -1}}, "Retry.Backoff.Initial"),
        ({"Backoff": {"Max": "8d"}}, "Retry.Backoff.Max"),
        ({"Backoff": {"Jitter": "maybe"}}, "Retry.Backoff.Jitter"),
        ({"MaxAttempt": 1}, "Retry.MaxAttempt"),
        ({"Rules": []}, "Retry.Rules"),
        ([], "Retry"),
    ],
)
def test_retry_out_of_bounds_is_refused(retry: object, path: str) -> None:
    assert list(refused(plain_job(Retry=retry))) == [path]


@pytest.mark.parametrize(
    "field", ["Failure", "Success", "Parallelism", "Stragglers", "Partitions", "Items", "After", "KeepFor"]
)
def test_field_that_is_not_built_is_refused_with_a_sentence(field: str) -> None:
    problems = refused(plain_job() | {field.lower(): {}})

    assert problems[field].message == f"{field} is not built yet: leave it out"


def test_unknown_keys_are_refused_at_every_level_with_the_nearest_name() -> None:
    problems = refused(
        plain_job(
            Coutn=3,
            Engine={"Type": "docker", "Params": {"Image": "x", "Parameter": ["a"]}, "Parms": {}},
            Resources={"Memry": "1gb"},
            Constraints=[{"Key": "a", "Operator": "exists", "Vals": []}],
            Network={"Type": "Bridge", "Ports": [{"Name": "a", "Statik": 1}]},
        )
    )

    assert {path: problem.hint for path, problem in problems.items()} == {
        "Coutn": "did you mean Count?",
        "Tasks[0].Engine.Parms": "did you mean Params?",
        "Tasks[0].Engine.Params.Parameter": "did you mean Parameters?",
        "Tasks[0].Resources.Memry": "did you mean Memory?",
        "Constraints[0].Vals": "did you mean Values?",
        "Tasks[0].Network.Ports[0].Statik": "did you mean Static?",
    }
    assert problems["Coutn"].message == "unknown field: 'Coutn' in 'Job'"


@pytest.mark.parametrize("key", ["ID", "state", "Version", "revision", "CreateTime", "modifytime"])
def test_what_the_server_sets_is_refused_in_a_file(key: str) -> None:
    problems = refused(plain_job() | {key: None}, is_file=True)

    assert problems[key].message == f"field: '{key}' in 'Job' is not allowed"


@pytest.mark.parametrize(
    ("key", "value", "warnings"),
    [
        ("State", {"StateType": "Running"}, ("job state is ignored when submitting a job",)),
        ("State", {"statetype": "undefined"}, ()),
        ("State", {"StateType": ""}, ()),
        ("State", "whatever", ()),
        ("Revision", 3, ("job revision is ignored when submitting a job",)),
        ("Version", 3, ("job version is ignored when submitting a job",)),
        ("CreateTime", 3, ("job create time is ignored when submitting a job",)),
        ("ModifyTime", 3, ("job modify time is ignored when submitting a job",)),
        ("Version", 0, ()),
        ("ID", "j-mine", ("job ID is ignored when submitting a batch job",)),
        ("ID", "", ()),
        ("Meta", {"bacalhau.org/x": "y"}, ('job meta key "bacalhau.org/x" is reserved and will be ignored',)),
    ],
)
def test_what_the_server_sets_is_ignored_over_rest_with_a_warning(
    key: str, value: object, warnings: tuple[str, ...]
) -> None:
    result = decode_job(plain_job() | {key: value})

    assert result.warnings == warnings
    assert result.job == decoded(plain_job())


def test_only_the_first_task_is_kept_with_a_warning() -> None:
    two = plain_job()
    two["Tasks"].append(two["Tasks"][0] | {"Name": "second"})

    result = decode_job(two)

    assert result.warnings == ("only one task is supported per job",)
    assert result.job == decoded(plain_job())


def test_result_paths_without_a_publisher_go_to_the_orchestrator() -> None:
    job = decoded(plain_job(ResultPaths=[{"Name": " out ", "Path": " /out "}], Publisher={"Type": " ", "Params": {}}))

    assert job.task.publisher.type == "orchestrator"
    assert (job.task.result_paths[0].name, job.task.result_paths[0].path) == ("out", "/out")


@pytest.mark.parametrize(("written", "kept"), [("none", "None"), ("HOST", "Host"), ("", "Default"), ("full", "Full")])
def test_network_types_match_in_any_case(written: str, kept: str) -> None:
    assert decoded(plain_job(Network={"Type": written})).task.network.type == kept


@pytest.mark.parametrize(
    ("fields", "path", "hint"),
    [
        ({"Name": dt.date(2024, 1, 1)}, "Name", "quote it"),
        ({"Name": True}, "Name", "quote it"),
        ({"Name": 5}, "Name", "quote it"),
        ({"Labels": {"a": 1}}, "Labels.a", "quote it"),
        ({"Env": {"A": True}}, "Tasks[0].Env.A", "quote it"),
        ({"Resources": {"CPU": 2}}, "Tasks[0].Resources.CPU", "quote it"),
        ({"Count": "3"}, "Count", "write it without quotes and leading zeros"),
        ({"Count": "three"}, "Count", ""),
        ({"Count": 1.0}, "Count", ""),
        ({"Count": True}, "Count", ""),
        ({"Count": 2**63}, "Count", ""),
        ({"Engine": engine("docker", Image="x", Parameters="echo hi")}, "Tasks[0].Engine.Params.Parameters", ""),
        ({"Engine": "docker"}, "Tasks[0].Engine", ""),
        ({"Meta": []}, "Meta", ""),
        ({"Name": "a\0b"}, "Name", ""),
        ({"Meta": {"a": "\0"}}, "Meta.a", ""),
        ({"Env": {"A": "\ud800"}}, "Tasks[0].Env.A", ""),
        ({"Network": {"Type": "Moon"}}, "Tasks[0].Network.Type", ""),
    ],
)
def test_wrong_type_is_one_problem_with_its_path(fields: dict[str, Any], path: str, hint: str) -> None:
    problems = refused(plain_job(**fields))

    assert list(problems) == [path]
    assert problems[path].hint == hint or not hint


def test_key_that_is_no_text_is_refused() -> None:
    (problem,) = decode_job(plain_job(Env={True: "x"})).problems

    assert (problem.path, problem.found, problem.hint) == ("Tasks[0].Env", "key true", "quote it")


def test_key_given_in_two_cases_is_refused() -> None:
    problems = refused(plain_job() | {"count": 2})

    assert "once" in problems["Count"].allowed


def test_every_problem_is_told_at_once() -> None:
    problems = refused(
        {"Colour": "red", "Type": "bach", "Count": -1, "Tasks": [{"Engine": None, "Resources": {"CPU": "lots"}}]}
    )

    assert set(problems) == {
        "Colour",
        "Type",
        "Count",
        "Tasks[0].Engine",
        "Tasks[0].Name",
        "Tasks[0].Resources.CPU",
    }


def test_deep_nesting_is_refused() -> None:
    deep: Any = "x"
    for _ in range(5000):
        deep = [deep]

    (problem,) = decode_job(plain_job(Engine=engine("docker", Image=deep))).problems

    assert problem.allowed == "at most 64 levels"


@pytest.mark.parametrize(
    "raw", [[], "x", 3, True, {}, {"Tasks": None}, {"Tasks": {}}, {"Tasks": [None]}, {"Tasks": [3]}]
)
def test_what_is_no_job_is_refused(raw: object) -> None:
    assert decode_job(raw).job is None


def test_no_job_is_bacalhaus_sentence() -> None:
    (problem,) = decode_job(None).problems

    assert str(problem) == "empty/nil job"


@pytest.mark.parametrize("job_type", ["ops", "daemon"])
def test_jobs_on_all_nodes_have_no_count(job_type: str) -> None:
    messages = [problem.message for problem in decode_job(plain_job(Type=job_type, Count=2)).problems]

    assert f"{job_type} jobs cannot specify count > 1 as they run on all matching nodes" in messages


def test_state_is_pending_and_type_an_enum() -> None:
    job = decoded(plain_job(Count=0))

    assert (job.type, job.count, job.state.state_type) == (JobType.BATCH, 0, JobStateType.PENDING)


def test_name_with_a_null_character_is_bacalhaus_sentence() -> None:
    bad = plain_job(Name="a\0b")
    bad["Tasks"][0]["Name"] = "\0"

    assert [str(problem) for problem in decode_job(bad).problems] == [
        "job Name contains a null character",
        "task \0 validation failed: task name cannot contain null characters",
    ]


def test_task_name_that_is_a_number_is_told_to_be_quoted() -> None:
    bad = plain_job()
    bad["Tasks"][0]["Name"] = 5

    (problem,) = decode_job(bad).problems

    assert (problem.path, problem.hint) == ("Tasks[0].Name", "quote it")


def test_document_full_of_mistakes_is_told_in_few_words() -> None:
    bad = plain_job(Labels={f"-{at}": "x" for at in range(3000)}) | {f"x{at}": 1 for at in range(3000)}
    bad["y" * 100_000] = 1

    problems = decode_job(bad).problems

    assert len(problems) == 101
    assert str(problems[-1]) == "only the first 100 problems are told"
    assert max(len(str(problem)) for problem in problems) < 1500


def test_id_of_a_client_names_a_job_without_name() -> None:
    result = decode_job({key: value for key, value in plain_job(ID="j-mine").items() if key != "Name"})

    assert result.job is not None
    assert (result.job.id, result.job.name) == ("", "j-mine")


def test_id_of_a_service_is_no_reason_for_a_warning() -> None:
    assert decode_job(plain_job(Type="service", ID="j-mine")).warnings == ()

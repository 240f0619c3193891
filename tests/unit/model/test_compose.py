"""Form and YAML are one document; problems name their line; names go on; drafts and templates."""

import time
from pathlib import Path

import pytest

from tui.model import compose, form
from tui.screens.drafts import Drafts

FIELD = form.BY_ID


def test_a_field_reads_what_another_case_of_keys_says_and_writes_in_that_case() -> None:
    data = {"name": "a", "tasks": [{"name": "main", "engine": {"type": "process", "params": {"command": "ls"}}}]}
    changed = form.changed(data, FIELD["name"], "b")
    assert changed["name"] == "b"
    assert "Name" not in changed
    assert form.value_of(changed, FIELD["command"]) == "ls"
    assert data["name"] == "a", "the document that was given is not touched"


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("name", "etl"),
        ("count", "12"),
        ("memory", "1gb"),
        ("attempts", "5"),
        ("backoff", "0.5"),
        ("timeout", "10m"),
        ("env", "A=1 B='two words'"),
        ("command", "sh -c 'echo \"hi\"'"),
        ("publisher", "orchestrator"),
    ],
)
def test_what_is_written_into_a_field_is_read_from_it_and_survives_yaml(field: str, text: str) -> None:
    data = form.changed(compose.check(compose.PROCESS).data, FIELD[field], text)
    again = compose.check(compose.dumped(data))
    assert not again.findings
    assert form.value_of(again.data, FIELD[field]) == text


def test_an_emptied_field_is_gone_from_the_document() -> None:
    data = form.changed(compose.check(compose.PROCESS).data, FIELD["memory"], "")
    assert "Memory" not in data["Tasks"][0]["Resources"]


def test_the_command_goes_where_the_engine_wants_it() -> None:
    data = form.changed(compose.check(compose.DOCKER).data, FIELD["command"], "python run.py")
    assert data["Tasks"][0]["Engine"]["Params"] == {"Image": "busybox", "Parameters": ["python", "run.py"]}
    data = form.changed(compose.check(compose.PROCESS).data, FIELD["command"], "python run.py")
    assert data["Tasks"][0]["Engine"]["Params"] == {"Command": "python", "Arguments": ["run.py"]}


def test_a_command_of_several_lines_is_left_to_the_yaml() -> None:
    data = form.changed(compose.check(compose.PROCESS).data, FIELD["name"], "x")
    data["Tasks"][0]["Engine"]["Params"]["Arguments"] = ["-c", "a\nb"]
    assert form.value_of(data, FIELD["command"]) == form.SEVERAL_LINES
    assert form.changed(data, FIELD["command"], form.SEVERAL_LINES) == data


def test_problems_name_the_line_that_they_are_about() -> None:
    checked = compose.check(compose.PROCESS.replace("32mb", "plenty"))
    assert checked.job is None
    assert checked.findings[0].line == 11
    assert compose.check("a: [").findings[0].line > 0
    assert compose.check("").job is None


@pytest.mark.parametrize(("text", "field"), [("A", "env"), ("'open", "command")])
def test_what_makes_no_sense_in_a_field_is_refused_with_what_is_allowed(text: str, field: str) -> None:
    with pytest.raises(ValueError, match="allowed"):
        form.changed({}, FIELD[field], text)


UNCLOSED = 'environment: found "A=\'b" (a quote is not closed), allowed: NAME=value, with quotes as in a shell'


def refused_env() -> compose.Composition:
    job = compose.Composition()
    job.enter(FIELD["env"], "A='b")
    return job


def test_what_a_field_refuses_is_kept_and_there_is_no_job_until_it_is_right() -> None:
    job = refused_env()
    job.enter(FIELD["memory"], "plenty")
    assert job.findings[0].text == UNCLOSED
    assert len(job.findings) == 2
    job.enter(FIELD["memory"], "64mb")
    assert job.checked.job is not None, "the text alone would be fit to submit"
    assert job.job is None
    assert job.shown(FIELD["env"]) == "A='b"
    job.enter(FIELD["env"], "A=b")
    assert job.job is not None
    assert dict(job.job.tasks[0].env) == {"A": "b"}


def test_a_field_that_is_again_what_it_was_is_right_and_the_text_stays_as_written() -> None:
    job = refused_env()
    job.enter(FIELD["env"], "")
    assert job.job is not None
    assert job.text == compose.PROCESS


def test_the_yaml_wins_over_a_refused_field_only_where_it_changes_its_value() -> None:
    job = refused_env()
    job.write(job.text.replace("32mb", "64mb"))
    job.write(job.text + "x: [")
    assert job.shown(FIELD["env"]) == "A='b"
    job.write(compose.PROCESS + "    Env: {A: c}\n")
    assert job.job is not None
    assert job.shown(FIELD["env"]) == "A=c"


def test_what_the_text_has_instead_of_a_refused_value_is_no_problem_of_its_own() -> None:
    job = compose.Composition()
    for text in ("A", "A=", "A='", "A='b"):
        job.enter(FIELD["env"], text)
    assert [one.text for one in job.findings] == [UNCLOSED]


def test_beginning_anew_forgets_what_was_refused() -> None:
    job = refused_env()
    job.begin(compose.DOCKER)
    assert job.job is not None


@pytest.mark.parametrize("text", [compose.PROCESS, "a: [", "# env, as typed: x\n" + compose.PROCESS])
def test_a_draft_holds_what_was_refused_even_over_a_text_that_cannot_be_read(text: str) -> None:
    job = refused_env()
    job.write(text)
    again = compose.Composition(job.draft())
    assert again.text == text
    assert again.shown(FIELD["env"]) == "A='b"
    again.write(compose.PROCESS)
    assert again.shown(FIELD["env"]) == "A='b"
    assert again.job is None


def test_another_engine_takes_the_command_along_and_what_it_has_not_waits() -> None:
    job = compose.Composition(compose.DOCKER)
    job.enter(FIELD["engine"], "proces")
    assert job.shown(FIELD["image"]) == "busybox", "half a name is no engine"
    job.enter(FIELD["engine"], "process")
    assert job.job is not None
    assert job.shown(FIELD["image"]) == ""
    job.enter(FIELD["engine"], "docker")
    assert job.job is not None
    assert job.shown(FIELD["image"]) == "busybox"


@pytest.mark.parametrize("text", ["1e5", "yEs", "null", "2026-01-01", "0x1F", "~"])
def test_text_of_a_field_is_never_read_as_something_else(text: str) -> None:
    job = compose.Composition()
    job.enter(FIELD["env"], f"A={text}")
    assert job.job is not None
    assert dict(job.job.tasks[0].env) == {"A": text}


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("count", "many"),
        ("count", "9" * 5000),
        ("engine", "dockr"),
        ("env", "1A=x"),
        ("env", "A"),
        ("env", "A='b"),
        ("command", "a \\"),
        ("cpu", "lots"),
        ("memory", "plenty"),
        ("timeout", "-5"),
        ("timeout", "soon"),
        ("attempts", "0"),
        ("backoff", "x"),
        ("publisher", "s4"),
    ],
)
def test_every_field_says_what_was_found_and_what_is_allowed(field: str, text: str) -> None:
    job = compose.Composition()
    job.enter(FIELD[field], text)
    assert job.job is None
    for one in job.findings:
        assert ": found " in one.text, one.text
        assert ", allowed: " in one.text, one.text


@pytest.mark.parametrize(("name", "after"), [("etl", "etl-2"), ("etl-2", "etl-3"), ("a-9", "a-10"), ("v-x", "v-x-2")])
def test_the_next_name_is_another_job(name: str, after: str) -> None:
    assert compose.next_name(name) == after


def test_samples_are_templates_that_can_be_submitted_from_anywhere() -> None:
    samples = Path(__file__).parents[3] / "samples"
    found = compose.templates(samples)
    assert {"process", "docker", "failing", "weather"} <= {one.name for one in found}
    for one in found:
        assert compose.check(one.text).job is not None, one.origin
    weather = next(one for one in found if one.origin.endswith("weather/weather.yaml"))
    assert str(samples) in weather.text


def test_the_command_holds_the_text_whatever_is_in_it() -> None:
    command = compose.as_command("Name: x\nEOF\n", "http://127.0.0.1:1")
    assert command.splitlines()[0].endswith("<<'EOF_'")


def test_drafts_are_kept_by_name_the_newest_first_and_never_outside(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path, "../prod")
    drafts.keep("new", "a: 1")
    time.sleep(0.02)
    drafts.keep("../../etc/passwd", "b: 2")
    assert [draft.text for draft in drafts.all()] == ["b: 2", "a: 1"]
    assert all(tmp_path in path.parents for path in tmp_path.rglob("*.yaml"))
    drafts.forget("new")
    assert drafts.newest("new") is None

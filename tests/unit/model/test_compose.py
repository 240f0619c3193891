"""Form and YAML are one document; problems name their line; names go on; drafts and templates."""

import time
from pathlib import Path

import pytest

from tui.model import compose
from tui.screens.drafts import Drafts

FIELD = compose.BY_ID


def test_a_field_reads_what_another_case_of_keys_says_and_writes_in_that_case() -> None:
    data = {"name": "a", "tasks": [{"name": "main", "engine": {"type": "process", "params": {"command": "ls"}}}]}
    changed = compose.changed(data, FIELD["name"], "b")
    assert changed["name"] == "b"
    assert "Name" not in changed
    assert compose.value_of(changed, FIELD["command"]) == "ls"
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
    data = compose.changed(compose.check(compose.PROCESS).data, FIELD[field], text)
    again = compose.check(compose.dumped(data))
    assert not again.findings
    assert compose.value_of(again.data, FIELD[field]) == text


def test_an_emptied_field_is_gone_from_the_document() -> None:
    data = compose.changed(compose.check(compose.PROCESS).data, FIELD["memory"], "")
    assert "Memory" not in data["Tasks"][0]["Resources"]


def test_the_command_goes_where_the_engine_wants_it() -> None:
    data = compose.changed(compose.check(compose.DOCKER).data, FIELD["command"], "python run.py")
    assert data["Tasks"][0]["Engine"]["Params"] == {"Image": "busybox", "Parameters": ["python", "run.py"]}
    data = compose.changed(compose.check(compose.PROCESS).data, FIELD["command"], "python run.py")
    assert data["Tasks"][0]["Engine"]["Params"] == {"Command": "python", "Arguments": ["run.py"]}


def test_a_command_of_several_lines_is_left_to_the_yaml() -> None:
    data = compose.changed(compose.check(compose.PROCESS).data, FIELD["name"], "x")
    data["Tasks"][0]["Engine"]["Params"]["Arguments"] = ["-c", "a\nb"]
    assert compose.value_of(data, FIELD["command"]) == compose.SEVERAL_LINES
    assert compose.changed(data, FIELD["command"], compose.SEVERAL_LINES) == data


def test_problems_name_the_line_that_they_are_about() -> None:
    checked = compose.check(compose.PROCESS.replace("32mb", "plenty"))
    assert checked.job is None
    assert checked.findings[0].line == 11
    assert compose.check("a: [").findings[0].line > 0
    assert compose.check("").job is None


@pytest.mark.parametrize(("text", "field"), [("A", "env"), ("'open", "command")])
def test_what_makes_no_sense_in_a_field_is_refused_with_what_is_allowed(text: str, field: str) -> None:
    with pytest.raises(ValueError, match="allowed"):
        compose.changed({}, FIELD[field], text)


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

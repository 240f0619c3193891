"""Job files: plain data, lines, and what is refused."""

import datetime as dt
from pathlib import Path

import pytest

from orchestrator.contract.decode import decode_job
from tui.jobfile import JobFileError, read_job_file, resolved

PARTITION = """\
# partition.yaml
Name: Partitioned Job
Type: batch
Count: 3
Tasks:
  - Name: main
    Engine:
      Type: docker
      Params:
        Image: ubuntu
        Parameters:
          - sh
          - -c
          - echo Partition=$BACALHAU_PARTITION_INDEX
"""


def test_the_announced_job_file_is_a_job() -> None:
    data, lines = read_job_file(PARTITION)
    result = decode_job(data, is_file=True)

    assert result.problems == ()
    assert result.job is not None
    assert (result.job.name, result.job.count) == ("Partitioned Job", 3)
    assert lines["tasks[0].engine.params.parameters[2]"] == 14


def test_line_of_a_problem_is_that_of_its_key_or_of_what_is_around_it() -> None:
    file = read_job_file("name: x\ntype: batch\ntasks:\n  - name: m\n    resources:\n      cpu: lots\n    engine: {}\n")
    problems = decode_job(file.data, is_file=True).problems

    assert {problem.path: file.line(problem.path) for problem in problems} == {
        "Tasks[0].Engine.Type": 7,
        "Tasks[0].Resources.CPU": 6,
    }
    assert file.line("Tasks[3].Name") == 3
    assert file.line("") == 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("~", None),
        ("", None),
        ("yes", True),
        ("OFF", False),
        ("12", 12),
        ("-3", -3),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("010", "010"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("22:22", "22:22"),
        ("y", "y"),
        ("1m30s", "1m30s"),
        ("2024-01-01", dt.date(2024, 1, 1)),
        ("2024-13-01", "2024-13-01"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_plain_text_of_yaml(text: str, value: object) -> None:
    assert resolved(text) == value
    assert type(resolved(text)) is type(value)


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("Name: 2024-01-01", "quote it"),
        ("Name: 2024-01-01T10:00:00Z", "quote it"),
        ("Name: yes", "quote it"),
        ("Name: 12", "quote it"),
        ("Count: 010", "write it without quotes and leading zeros"),
        ("Count: '3'", "write it without quotes and leading zeros"),
        ("Labels: {on: x}", "quote it"),
        ("Priority: .inf", ""),
    ],
)
def test_what_yaml_guesses_is_refused_where_text_is_wanted(line: str, hint: str) -> None:
    text = (
        "\n".join(part for part in PARTITION.splitlines() if not part.startswith(line.partition(":")[0]))
        + f"\n{line}\n"
    )
    file = read_job_file(text)

    (problem,) = decode_job(file.data, is_file=True).problems
    assert problem.hint == hint
    assert file.line(problem.path) == len(text.splitlines())


def test_quoted_and_tagged_text_is_text() -> None:
    data, _ = read_job_file("a: '12'\nb: \"yes\"\nc: !!str 12\nd: |\n  12\ne: ! no")

    assert data == {"a": "12", "b": "yes", "c": "12", "d": "12\n", "e": "no"}


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", None, "no content provided"),
        ("# only a comment\n", None, "no content provided"),
        ("null", None, "no content provided"),
        ("a: [1, 2", 1, "yaml: line 1: did not find expected ',' or ']'"),
        ("a: 1\nb: 2\na: 3", 3, "key 'a' is there already"),
        ('{"a": 1,\n "a": 2}', 2, "key 'a' is there already"),
        ("a: *x", 1, "unknown anchor 'x'"),
        ("a: &x [*x]", 1, "anchor 'x' contains itself"),
        ("{{or .n 2}}: x", 1, "template"),
        ("a: !!python/object:os.system x", 1, "is not allowed"),
        ("a: !thing {}", 1, "is not allowed"),
        ("--- 1\n--- 2", 2, "one document"),
        ("<<: 3", 1, "<< takes a mapping"),
        ("a: \x07", None, "control characters"),
        ("\ta: b", 1, "cannot start any token"),
        ("[" * 100 + "]" * 100, 1, "deeper than 64"),
        ("a" * 10_000_001, None, "larger than"),
        ("\ud800", None, "yaml"),
    ],
)
def test_bad_file_is_refused_with_its_line(text: str, line: int | None, says: str) -> None:
    with pytest.raises(JobFileError) as caught:
        read_job_file(text)

    assert str(caught.value).startswith("the job provided is invalid: ")
    assert says in str(caught.value)
    assert caught.value.line == line


def test_bomb_of_aliases_is_refused() -> None:
    layers = [f"a{at}: &a{at} [{', '.join([f'*a{at - 1}'] * 10)}]" for at in range(1, 9)]

    with pytest.raises(JobFileError, match="more than 1000000 values") as caught:
        read_job_file("\n".join(["a0: &a0 [x, x, x, x, x, x, x, x, x, x]", *layers]))

    assert caught.value.line is not None


def test_aliases_and_merges_stand_for_what_they_name() -> None:
    data, _ = read_job_file("a: &a {x: 1, y: 2}\nb: *a\nc:\n  <<: *a\n  y: 3\nd:\n  <<: [{x: 5}, *a]\n")

    assert data == {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 2}, "c": {"x": 1, "y": 3}, "d": {"x": 5, "y": 2}}


def test_json_is_read_as_json_with_lines() -> None:
    file = read_job_file('{\n\t"Name": "a\\/b",\n\t"Tasks": [\n\t\t{"Name": "m"}]}')

    assert file.data == {"Name": "a/b", "Tasks": [{"Name": "m"}]}
    assert file.line("Tasks[0].Name") == 4
    assert read_job_file('{"Name": "\\ud83d\\ude00"}').data == {"Name": "😀"}


def test_relative_source_path_counts_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    sources = "".join(
        f"    - source: {{type: {kind}, params: {{sourcepath: {where}}}}}\n"
        for kind, where in (("local", "../data"), ("LocalDirectory", "/abs"), ("s3", "key"))
    )
    path.write_text(f"tasks:\n  - inputSources:\n{sources}")

    data = read_job_file(path).data
    assert isinstance(data, dict)
    params = [one["source"]["params"]["sourcepath"] for one in data["tasks"][0]["inputSources"]]
    assert params == [str(tmp_path.parent / "data"), "/abs", "key"]


def test_file_that_cannot_be_opened_is_told_as_bacalhau_does(tmp_path: Path) -> None:
    with pytest.raises(JobFileError) as caught:
        read_job_file(Path("nofile.yaml"))
    assert str(caught.value) == 'opening job file ("nofile.yaml"): open nofile.yaml: no such file or directory'

    with pytest.raises(JobFileError, match="is a directory"):
        read_job_file(tmp_path)

    (tmp_path / "latin").write_bytes(b"Name: \xff")
    with pytest.raises(JobFileError, match="no UTF-8 text"):
        read_job_file(tmp_path / "latin")

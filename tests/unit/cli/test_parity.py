"""Verbs that Bacalhau has too: rerun, diff, nodes, wasm, templates, profiles, settings, completion."""

import base64
import io
import json
import tarfile
from pathlib import Path

import pytest

from tests.helpers.cli import Shoal
from tests.helpers.fake_api import JOB_ID, JOBS, FakeApi
from tui.cli.completion import candidates
from tui.cli.template import filled
from tui.jobfile import JobFileError

FILE = """\
Name: {{.name}}
Type: batch
Count: {{index . "n"}}
Tasks:
  - Name: main
    Engine: {Type: process, Params: {Command: "true"}}
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "job.yaml"
    path.write_text(FILE)
    return str(path)


def test_a_template_is_filled_from_both_forms(api: FakeApi, shoal: Shoal, file: str) -> None:
    assert shoal("job", "run", file, "-V", "name=x,n=3", "--wait=false").code == 0
    job = api.sent("PUT")[-1]["Job"]
    assert (job["Name"], job["Count"]) == ("x", 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\n{{if .x}}", "found '{{if .x}}', allowed"),
        ("a\n{{.x | upper}}", "allowed: {{.name}}"),
        ("a\n{{- .x}}", "found '{{- .x}}'"),
        ("a\n{{.missing}}", "no value for 'missing'"),
    ],
)
def test_other_constructs_of_templates_are_refused_with_their_line(text: str, message: str) -> None:
    with pytest.raises(JobFileError, match="failed to execute template") as refused:
        filled(text, {"x": "1"})
    assert message in str(refused.value)
    assert refused.value.line == 2


def test_a_variable_without_a_value_is_refused_unless_it_is_no_template(api: FakeApi, shoal: Shoal, file: str) -> None:
    done = shoal("job", "run", file)
    assert done.code == 2
    assert "line 1" in done.err
    assert "-V name=" in done.err
    assert filled('{{"{{"}}.x}}', {}) == "{{.x}}"
    assert not api.sent("PUT")


@pytest.mark.parametrize("verb", ["validate", "diff", "plan"])
def test_a_template_is_filled_wherever_a_job_file_is_read(api: FakeApi, shoal: Shoal, file: str, verb: str) -> None:
    api.on("PUT", f"{JOBS}/diff", {"Diff": "", "Warnings": None})
    refused = shoal("job", verb, file, "-V", "name=x")
    assert (refused.code, "line 3: failed to execute template: no value for 'n'" in refused.err) == (2, True)
    assert shoal("job", verb, file, "-V", "name=x", "-V", "n=3").code == 0
    assert [one["Job"]["Name"] for one in api.sent("PUT")] == ([] if verb == "validate" else ["x"])


def test_a_dry_run_shows_what_would_change(api: FakeApi, shoal: Shoal, file: str) -> None:
    api.on("PUT", f"{JOBS}/diff", {"Diff": '-   "Count": 2,\n+   "Count": 3,\n', "Warnings": None})
    done = shoal("job", "run", file, "-V", "name=x", "-V", "n=3", "--dry-run")
    assert (done.code, done.out) == (0, '-   "Count": 2,\n+   "Count": 3,\n')
    api.on("PUT", f"{JOBS}/diff", {"Diff": "", "Warnings": None})
    assert shoal("job", "run", file, "-V", "name=x", "-V", "n=3", "--dry-run").out == "No diff detected.\n"


def test_a_dry_run_of_an_unknown_name_shows_the_job(shoal: Shoal, file: str) -> None:
    done = shoal("job", "run", file, "-V", "name=x", "-V", "n=3", "--dry-run")
    assert done.code == 0
    assert "Count: 3" in done.out


def test_a_rerun_of_a_version_is_asked_for_and_waited_for(api: FakeApi, shoal: Shoal) -> None:
    answer = {"JobID": JOB_ID, "JobVersion": 2, "EvaluationID": "9", "Warnings": None}
    api.on("PUT", f"{JOBS}/{JOB_ID}/rerun", answer)
    done = shoal("job", "rerun", JOB_ID, "--version", "1", "--wait=false")
    assert (done.code, done.out) == (0, f"{JOB_ID}\n")
    assert api.sent("PUT")[-1]["JobVersion"] == 1
    assert shoal("job", "rerun", JOB_ID).code == 1  # the job of the tests fails


def test_a_node_is_approved_with_a_reason(api: FakeApi, shoal: Shoal) -> None:
    api.on("PUT", "/api/v1/orchestrator/nodes/n1", {"Success": True})
    for verb in ("approve", "reject", "delete"):
        done = shoal("node", verb, "n1", "-m", "because")
        assert (done.code, done.out) == (0, "Ok\n")
        assert (api.sent("PUT")[-1]["Action"], api.sent("PUT")[-1]["Reason"]) == (verb, "because")


def test_the_orchestrators_configuration_and_whom_it_knows_are_shown(api: FakeApi, shoal: Shoal) -> None:
    api.on("GET", "/api/v1/agent/config", {"config": {"NameProvider": "puuid"}})
    api.on("GET", "/api/v1/agent/authconfig", {"Version": "1.0.0", "Config": {}})
    assert shoal("agent", "config").out == "NameProvider: puuid\n"
    assert json.loads(shoal("agent", "config", "--json").out) == {"NameProvider": "puuid"}
    told = shoal("auth", "info", SHOAL_API_KEY="secret").out
    assert "API Key: Set" in told
    assert "does not support SSO" in told
    assert "secret" not in told


def test_a_module_goes_with_the_job_as_bacalhau_sends_it(api: FakeApi, shoal: Shoal, tmp_path: Path) -> None:
    (tmp_path / "a.wasm").write_bytes(b"\0asm")
    done = shoal("wasm", "run", "--wait=false", "a.wasm", "--", "x", "-y")
    assert done.code == 0, done
    task = api.sent("PUT")[-1]["Job"]["Tasks"][0]
    assert task["Engine"]["Params"] == {"EntryModule": "main.wasm", "Entrypoint": "_start", "Parameters": ["x", "-y"]}
    (source,) = task["InputSources"]
    assert source["Target"] == "main.wasm"
    packed = base64.b64decode(source["Source"]["Params"]["URL"].partition(",")[2])
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        member = archive.extractfile("main.wasm")
        assert member is not None
        assert member.read() == b"\0asm"
    first = source["Source"]["Params"]["URL"]
    shoal("wasm", "run", "--wait=false", "a.wasm")
    assert api.sent("PUT")[-1]["Job"]["Tasks"][0]["InputSources"][0]["Source"]["Params"]["URL"] == first
    assert shoal("wasm", "run", "nope.wasm").code == 2


def test_a_selected_profile_says_where_and_as_whom(shoal: Shoal, tmp_path: Path) -> None:
    assert shoal("profile", "list").out == "No profiles found\n"
    saved = shoal("profile", "save", "eu", "--endpoint", "http://eu.example:99", "--token", "t0ken", "--select")
    assert saved.out == 'Profile "eu" saved\n'
    assert (tmp_path / ".shoal/profiles.yaml").stat().st_mode & 0o077 == 0
    assert "http://eu.example:99" in shoal("profile", "list").out
    shown = shoal("profile", "show").out
    assert "********" in shown
    assert "t0ken" not in shown
    assert "t0ken" in shoal("profile", "show", "eu", "--show-token").out
    shoal("profile", "save", "eu", "--timeout", "1m30s", "--description", "the [old] one")
    shown = shoal("profile", "show", "eu").out
    assert "Timeout:     1m30s\nDescription: the [old] one\n" in shown
    assert "http://eu.example:99" in shown
    (item,) = json.loads(shoal("profile", "list", "--json").out)["Items"]
    assert (item["Timeout"], item["Description"], item["HasToken"]) == (90, "the [old] one", True)
    shoal("profile", "save", "eu", "--timeout", "", "--description=", "--token=")
    assert "Timeout" not in shoal("profile", "show").out
    for name in ("eu", "new"):
        refused = shoal("profile", "save", name, "--endpoint", "ftp://x")
        assert (refused.code, refused.err.partition(",")[0]) == (2, "Error: --endpoint: found 'ftp://x'")
    assert json.loads(shoal("profile", "show", "--json").out)["Description"] == ""
    for flag in (("--timeout", "soon"), ("--timeout=-1s",), ("--timeout=0",), ("--insecure",)):
        refused = shoal("profile", "save", "eu", *flag)
        assert (refused.code, flag[0].partition("=")[0] in refused.err) == (2, True)
    assert "certificates are always checked" in shoal("profile", "save", "new", "--endpoint", "h", "--insecure").err
    shoal("profile", "save", "us", "--endpoint", "us.example")
    assert shoal("profile", "select", "us").out == 'Switched to profile "us"\n'
    assert shoal("profile", "delete", "us", "--force").code == 0
    assert shoal("profile", "select", "us").code == 2
    assert shoal("profile", "save", "../x", "--endpoint", "a").code == 2


def test_what_is_kept_is_used_unless_something_nearer_says_otherwise(shoal: Shoal) -> None:
    assert shoal("config", "set", "api.port=99").code == 0
    assert "99" in shoal("config", "list").out
    assert "unknown setting" in shoal("config", "set", "api.prot=1").err
    assert shoal("config", "set", "API.Port=").code == 0
    assert "99" not in shoal("config", "list").out


def test_settings_are_listed_as_they_are_in_force(shoal: Shoal) -> None:
    assert shoal("config", "set", "API.Port=99").code == 0
    listed = json.loads(shoal("config", "list", "--output", "json", BACALHAU_API_HOST="https://eu").out)
    assert {one["Key"]: one["Value"] for one in listed} == {
        "API.Host": "eu",
        "API.Port": "99",
        "API.TLS.CAFile": "",
        "API.TLS.UseTLS": "true",
        "Profile": "",
    }
    assert shoal("config", "list", "--output", "yaml").out == (
        "API:\n  Host: 127.0.0.1\n  Port: 99\n  TLS:\n    UseTLS: false\n"
    )


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        ("Orchestrator.Enabled=true", "no setting of a client"),
        ("api.prot=1", "did you mean API.Port?"),
        ("API.Port=x", "allowed: a port number"),
        ("API.TLS.UseTLS=maybe", "allowed: true, false"),
        ("API.TLS.CAFile=/nope", "no such file"),
    ],
)
def test_what_cannot_be_kept_is_refused_and_not_kept(shoal: Shoal, tmp_path: Path, pair: str, said: str) -> None:
    done = shoal("config", "set", pair)
    assert (done.code, said in done.err, (tmp_path / ".shoal/config.yaml").exists()) == (2, True, False)


@pytest.mark.parametrize(
    ("words", "some"),
    [
        ([""], {"job", "node", "wasm", "completion"}),
        (["job", "re"], {"rerun", "retry"}),
        (["job", "rerun", "--ver"], {"--version"}),
        (["completion", ""], {"bash", "zsh", "fish"}),
        (["docker", "run", "x", "--", ""], set()),
    ],
)
def test_words_and_flags_are_completed(words: list[str], some: set[str]) -> None:
    found = candidates(words, {})
    assert some <= set(found)
    assert all(one.startswith(words[-1]) for one in found)


def test_jobs_and_nodes_are_completed_and_an_orchestrator_that_is_away_is_nothing(shoal: Shoal) -> None:
    assert JOB_ID in shoal("__complete", "job", "describe", "").out.split()
    assert "n1" in shoal("__complete", "node", "describe", "n").out.split()
    assert candidates(["job", "describe", ""], {"SHOAL_API_PORT": "1"}) is not None


def test_every_shell_has_its_script(shoal: Shoal) -> None:
    for shell in ("bash", "zsh", "fish"):
        assert "shoal __complete" in shoal("completion", shell).out
    assert shoal("completion", "cmd").code == 2

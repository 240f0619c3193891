import io
import json
import signal
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from tests.helpers.cli import Shoal
from tests.helpers.fake_api import EVIL, JOBS, FakeApi, Held, grid_of

ONE = f"{JOBS}/[^/]+"


@pytest.mark.parametrize(
    ("status", "code", "exit_code"),
    [
        (400, "BadRequest", 2),
        (401, "Unauthorized", 6),
        (403, "Forbidden", 6),
        (404, "NotFound", 3),
        (409, "MultipleJobsFound", 4),
        (500, "ConflictJobState", 4),
        (500, "InternalError", 1),
        (503, "ServiceUnavailable", 1),
    ],
)
def test_what_the_orchestrator_refuses_has_its_exit_code(
    api: FakeApi, shoal: Shoal, status: int, code: str, exit_code: int
) -> None:
    api.refuse("GET", ONE, status, code, f"no: {EVIL}", Hint="try that")
    done = shoal("job", "describe", "x")
    assert (done.code, done.out) == (exit_code, "")
    assert done.err == "Error: no: x [/y] [@click=app.quit]z\\x1b[31m\nHint: try that\n"


def test_an_error_under_json_is_one_line_on_stderr(api: FakeApi, shoal: Shoal) -> None:
    problem = {"Path": "Tasks[0].Name", "Found": "nothing", "Allowed": "a name", "Hint": ""}
    api.refuse("PUT", JOBS, 400, "BadRequest", "missing task name", Problems=[problem])
    done = shoal("process", "run", "--json", "--", "true")
    assert (done.code, done.out) == (2, "")
    assert json.loads(done.err) == {
        "Error": {
            "Code": "BadRequest",
            "Message": "missing task name",
            "Hint": "",
            "Problems": [{**problem, "Line": None}],
        }
    }


def test_an_orchestrator_that_is_not_there_is_5_with_its_address_and_how_to_start_one(
    api: FakeApi, shoal: Shoal
) -> None:
    api.on("GET", JOBS, httpx.ConnectError("All connection attempts failed"))
    done = shoal("job", "list", "--api-host", "10.0.0.9", "--api-port", "77")
    assert (done.code, done.out) == (5, "")
    assert "http://10.0.0.9:77 is not reachable: connection refused" in done.err
    assert "shoal devstack" in done.err


def test_what_the_server_has_no_route_for_is_2_and_says_what_to_do_instead(api: FakeApi, shoal: Shoal) -> None:
    message = "The requested resource/URL was not found."
    api.refuse("PUT", f"{ONE}/suspend", 404, "NotFound", message, component="APIServer")
    done = shoal("job", "suspend", "x")
    assert done.code == 2
    assert "cannot suspend a job: it is a Bacalhau" in done.err
    assert "shoal job stop" in done.err


def test_no_changes_names_force(api: FakeApi, shoal: Shoal) -> None:
    api.refuse("PUT", JOBS, 409, "ResourceInUse", "no changes detected", Hint="Use the --force flag to override")
    done = shoal("process", "run", "--name", "x", "--", "true")
    assert done.code == 4
    assert "--force" in done.err


@pytest.mark.parametrize(
    "argv",
    [
        ("job", "retry", "x"),
        ("job", "retry", "x", "--failed", "--select", "3"),
        ("job", "stop", "x", "--dry-run"),
        ("job", "logs", "x", "--attempt", "0"),
        ("job", "logs", "x", "--since", "yesterday"),
        ("job", "logs", "x", "--grep", "("),
        ("job", "partitions", "x", "--select", "faild"),
        ("job", "describe"),
        ("job", "describe", ""),
        ("job", "describe", "@first"),
        ("job", "list", "--limit", "-1"),
        ("job", "describe", "\udcff"),
        ("job", "list", "--labels", "a b"),
        ("job", "list", "--json", "--output", "json"),
        ("job", "run", "--wait=maybe", "x"),
        ("node", "list", "--show", "tea"),
        ("job", "get", "x", "--output-dir", "/no/such"),
        ("devstack", "--lease", "-3s"),
        ("devstack", "--nodes", "0"),
        ("job", "list", "--api-port", "hello"),
        ("job", "list", "--api-host", "ftp://x"),
        (),
        ("job",),
    ],
)
def test_a_command_line_without_sense_is_2_and_sends_nothing(api: FakeApi, shoal: Shoal, argv: tuple[str, ...]) -> None:
    done = shoal(*argv)
    assert (done.code, done.out) == (2, "")
    assert done.err
    assert api.requests == []


def test_acting_on_very_many_partitions_off_a_terminal_needs_yes(api: FakeApi, shoal: Shoal) -> None:
    many = {"Count": 1001, "ByState": {"failed": 1001}, "Cursor": "c"}
    api.on("PUT", f"{ONE}/partitions/retry", many)
    refused = shoal("job", "retry", "x", "--failed")
    assert refused.code == 2
    assert "--yes" in refused.err
    assert [body["DryRun"] for body in api.sent("PUT")] == [True]
    assert shoal("job", "retry", "x", "--failed", "--yes").code == 0
    assert [body["DryRun"] for body in api.sent("PUT")] == [True, True, False]
    api.on("GET", f"{ONE}/partitions", grid_of([1] * 1001))
    assert shoal("job", "stop", "x").code == 2
    assert shoal("job", "stop", "x", "--yes").code == 0


def test_waiting_times_out_with_124(api: FakeApi, shoal: Shoal) -> None:
    api.on("GET", f"{ONE}/partitions", grid_of([4, 4]))
    done = shoal("job", "wait", "x", "--wait-timeout-secs", "0.3")
    assert done.code == 124
    assert "shoal job wait j-1111" in done.err


@pytest.fixture
def interrupted_wait(api: FakeApi) -> Iterator[FakeApi]:
    """The watch of a running job is interrupted as it begins; also where a shell started the tests with SIGINT ignored."""
    api.on("GET", f"{ONE}/partitions", grid_of([4]))

    def interrupted(_: httpx.Request) -> httpx.Response:
        signal.raise_signal(signal.SIGINT)
        return httpx.Response(200, stream=Held())

    api.on("GET", f"{ONE}/watch", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield api
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_leaves_the_job_running_and_names_the_verb_that_waits_on(
    interrupted_wait: FakeApi, shoal: Shoal
) -> None:
    done = shoal("job", "wait", "x")
    assert done.code == 130
    assert "Interrupted: the job goes on\n" in done.err
    assert "shoal job wait j-1111" in done.err
    assert not [request for request in interrupted_wait.requests if request.method != "GET"]


@pytest.mark.usefixtures("interrupted_wait")
def test_ctrl_c_under_json_is_one_line_of_json(shoal: Shoal) -> None:
    done = shoal("job", "wait", "x", "--json")
    assert done.code == 130
    told = json.loads(done.err)["Error"]
    assert (told["Code"], told["Message"]) == ("Interrupted", "the job goes on")
    assert "shoal job wait j-1111" in told["Hint"]


def test_a_mistake_of_ours_is_told_without_a_traceback(api: FakeApi, shoal: Shoal) -> None:
    api.on("GET", JOBS, ZeroDivisionError("oops"))
    done = shoal("job", "list")
    assert (done.code, done.out) == (1, "")
    assert "ZeroDivisionError: oops" in done.err
    assert "Traceback" not in done.err


def test_a_reader_that_went_away_ends_it_silently() -> None:
    argv = [sys.executable, "-c", "import sys; from tui.__main__ import main; sys.exit(main())", "--help"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


class Gone(io.StringIO):
    """A stream that nobody reads any more."""

    def write(self, _: str) -> int:
        raise BrokenPipeError


def test_a_reader_that_goes_away_in_the_middle_of_a_verb_ends_it_silently(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.cli.main._close_stdout", lambda: None)
    monkeypatch.setattr(sys, "stdout", Gone())
    done = shoal("job", "list", "--json")
    assert (done.code, done.err) == (141, "")


def test_it_starts_without_what_it_does_not_need() -> None:
    code = (
        "import sys, tui.cli.main as m; m.run(['--help'], {}); "
        "print([n for n in ('textual', 'litestar', 'httpx', 'asyncio', 'yaml', 'rich', 'orchestrator.client')"
        " if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_no_verb_imports_textual_or_a_server() -> None:
    code = (
        "import sys; from tui.cli.verbs import VERBS, load\n"
        "for verb in VERBS.values(): verb.is_passed_on or load(verb)\n"
        "import tui.cli.stack, tui.cli.waiting, tui.cli.logstream, tui.cli.unpacking\n"
        "print([n for n in ('textual', 'litestar', 'node', 'orchestrator.core') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

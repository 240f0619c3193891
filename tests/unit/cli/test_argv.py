import pytest

from tui.cli.argv import read, wants_json
from tui.cli.diagnostics import UsageError


@pytest.mark.parametrize(
    ("argv", "path", "args"),
    [
        ("job list", "job list", "--"),
        ("job run f.yaml --follow", "job run", "--follow=true -- f.yaml"),
        ("job run --follow f.yaml", "job run", "--follow=true -- f.yaml"),
        ("job run --wait=false f.yaml", "job run", "--wait=false -- f.yaml"),
        ("job run -f=0 f.yaml", "job run", "--follow=0 -- f.yaml"),
        ("job logs x --tail", "job logs", "--tail=0 -- x"),
        ("job logs --tail x", "job logs", "--tail=0 -- x"),
        ("job logs --tail=5 x", "job logs", "--tail=5 -- x"),
        ("job logs -ft x", "job logs", "--follow=true --tail=0 -- x"),
        ("job logs -ft=3 x", "job logs", "--follow=true --tail=3 -- x"),
        ("job describe -v 3 x", "job describe", "--version=3 -- x"),
        ("job describe -v3 x", "job describe", "--version=3 -- x"),
        ("job describe -v=3 x", "job describe", "--version=3 -- x"),
        ("job describe --version 3 x", "job describe", "--version=3 -- x"),
        ("job run -- -strange-.yaml", "job run", "-- -strange-.yaml"),
        ("job run -", "job run", "-- -"),
        ("docker run --count 3 ubuntu -- sh -c x", "docker run", "--count=3 -- ubuntu sh -c x"),
        ("docker run ubuntu --count 3 -- ls -l", "docker run", "--count=3 -- ubuntu ls -l"),
        ("docker run ubuntu echo hi", "docker run", "-- ubuntu echo hi"),
        ("docker run ubuntu echo -- -x --json", "docker run", "-- ubuntu echo -x --json"),
        ("docker run -o out:/outputs ubuntu", "docker run", "--output=out:/outputs -- ubuntu"),
        ("docker run -e A=1 -eB=2 ubuntu", "docker run", "--env=A=1 --env=B=2 -- ubuntu"),
        ("process run -- sh -c x", "process run", "-- sh -c x"),
        ("serve --port 5 --json", "serve", "--port 5 --json"),
        ("node run --name n1 --help", "node run", "--name n1 --help"),
    ],
)
def test_command_lines_become_regular(argv: str, path: str, args: str) -> None:
    line = read(argv.split())
    assert (" ".join(line.path), " ".join(line.args)) == (path, args)


@pytest.mark.parametrize(
    "argv",
    [
        "--api-host h --api-port=9 --json job list",
        "job --api-host=h list --json --api-port 9",
        "job list --json=true --api-port 9 --api-host h",
    ],
)
def test_global_options_work_anywhere(argv: str) -> None:
    line = read(argv.split())
    assert (line.host, line.port, line.wants_json, line.args) == ("h", "9", True, ("--",))


def test_json_may_be_switched_off() -> None:
    assert not read(["job", "list", "--json=false"]).wants_json
    assert not wants_json(["job", "list", "--json=false"])
    assert not wants_json(["docker", "run", "x", "--", "--json"])
    assert wants_json(["job", "lst", "--json"])


@pytest.mark.parametrize(
    ("argv", "message", "hint"),
    [
        ("docker run ubuntu ls -l", "put -- before the command", "shoal docker run ubuntu -- ls -l"),
        ("docker run ubuntu echo --count 3", "put -- before the command", "shoal docker run ubuntu -- echo --count"),
        ("process run sh -c x", "put -- before the command", "shoal process run -- sh -c"),
        ("logs x", "unknown verb 'logs'", "shoal job logs"),
        ("ps", "unknown verb 'ps'", "shoal job list"),
        ("run f.yaml", "unknown verb 'run'", "shoal job run"),
        ("jobs", "unknown verb 'jobs'", "shoal job list"),
        ("job lits", "unknown verb 'lits' after 'shoal job'", "shoal job list"),
        ("jbo list", "unknown verb 'jbo'", "shoal job"),
        ("zzz", "unknown verb 'zzz'", "shoal --help"),
        ("job list --limt 3", "unknown option --limt", "--limit"),
        ("job list -z", "unknown option -z", "shoal job list --help"),
        ("--limit 3 job list", "before the verb", "follow it"),
        ("job list --limit", "--limit needs a value", ""),
        ("job list --json=maybe", "allowed: true, false", ""),
    ],
)
def test_what_makes_no_sense_names_what_was_meant(argv: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as refused:
        read(argv.split())
    assert message in refused.value.message
    assert hint in refused.value.hint


@pytest.mark.parametrize("argv", ["--help", "help", "job --help", "job list --help", "job list -h", "help job list"])
def test_help_is_asked_for_in_many_ways(argv: str) -> None:
    assert read(argv.split()).wants_help

"""All verbs: where each is written, and what it is for. A verb's module is imported when it is used."""

import importlib

import click
import msgspec


class Verb(msgspec.Struct, frozen=True):
    """A verb of the command line."""

    place: str
    """`module:function` below `tui.cli.commands`."""
    operands: str
    summary: str
    is_passed_on: bool = False
    """Whether everything after it goes to another program as it is."""
    program_begins: int = -1
    """For verbs that run a program: how many operands come before the program's own words; -1 = it is no such verb."""

    @property
    def takes_program(self) -> bool:
        """Whether its last operands are the words of a program."""
        return self.program_begins >= 0


VERBS: dict[tuple[str, ...], Verb] = {
    ("docker", "run"): Verb("run:docker_run", "IMAGE [-- COMMAND...]", "Run a container image", program_begins=1),
    ("wasm", "run"): Verb("run:wasm_run", "MODULE [ARGUMENT...]", "Run a WASM module", program_begins=1),
    ("process", "run"): Verb(
        "run:process_run", "[--] PROGRAM [ARGUMENT...]", "Run a program of the nodes", program_begins=0
    ),
    ("job", "run"): Verb("job_run:run", "[FILE]", "Submit a job file and wait for its end"),
    ("job", "validate"): Verb("job_run:validate", "[FILE]", "Check a job file; nothing is sent"),
    ("job", "plan"): Verb("job_plan:plan", "[FILE]", "Say what submitting a job file would do; nothing is submitted"),
    ("job", "diff"): Verb("job_versions:diff", "[FILE]", "Show what a job file would change"),
    ("job", "list"): Verb("job_list:list_jobs", "", "List jobs, newest first"),
    ("job", "describe"): Verb("job_describe:describe", "JOB", "Show a job: counts, failures, partitions, history"),
    ("job", "partitions"): Verb("job_partitions:partitions", "JOB", "Show where every partition stands"),
    ("job", "executions"): Verb("job_list:executions", "JOB", "List the attempts of a job"),
    ("job", "history"): Verb("job_list:history", "JOB", "Show what happened to a job"),
    ("job", "versions"): Verb("job_list:versions", "JOB", "List the versions of a job"),
    ("job", "logs"): Verb("job_logs:logs", "JOB", "Read or follow what partitions write"),
    ("job", "explain"): Verb("job_partitions:explain", "JOB", "Tell why partitions wait"),
    ("job", "failures"): Verb("job_partitions:failures", "JOB", "Show failures, grouped"),
    ("job", "wait"): Verb("job_wait:wait", "JOB", "Wait for the end of a job"),
    ("job", "watch"): Verb("job_wait:watch", "JOB", "Print the changes of a job as they come, as JSON"),
    ("job", "stop"): Verb("job_act:stop", "JOB", "Stop a job, or some of its partitions"),
    ("job", "retry"): Verb("job_act:retry", "JOB", "Run failed partitions again, in the same job"),
    ("job", "rerun"): Verb("job_versions:rerun", "JOB", "Run a job again, as a new version"),
    ("job", "suspend"): Verb("job_hold:suspend", "JOB", "Place nothing more of a job for now"),
    ("job", "resume"): Verb("job_hold:resume", "JOB", "Place a suspended job again"),
    ("job", "get"): Verb("job_get:get", "JOB", "Fetch the results of every partition"),
    ("node", "list"): Verb("node:list_nodes", "", "List the nodes"),
    ("node", "describe"): Verb("node:describe", "NODE", "Show a node"),
    ("node", "drain"): Verb("node_drain:drain", "NODE", "Place nothing more on a node; what runs finishes or is moved"),
    ("node", "undrain"): Verb("node_drain:undrain", "NODE", "Place on a node again"),
    ("node", "approve"): Verb("node:approve", "NODE", "Let a node take part"),
    ("node", "reject"): Verb("node:reject", "NODE", "Shut a node out"),
    ("node", "delete"): Verb("node:delete", "NODE", "Forget a node"),
    ("node", "run"): Verb("servers:node_run", "", "Run a node agent here", is_passed_on=True),
    ("node", "token"): Verb("token:node_token", "", "Make a token to join a node with, or revoke a node's own"),
    ("token", "create"): Verb("token:create", "NAME", "Make a token for a person or a program"),
    ("token", "list"): Verb("token:list_tokens", "", "List tokens: people, joins, nodes"),
    ("token", "revoke"): Verb("token:revoke", "NAME", "Make a token worthless"),
    ("agent", "alive"): Verb("agent:alive", "", "Ask whether the orchestrator answers"),
    ("agent", "version"): Verb("agent:version", "", "Show the orchestrator's version"),
    ("agent", "node"): Verb("agent:node", "", "Show the orchestrator as a node"),
    ("agent", "config"): Verb("agent:config", "", "Show the orchestrator's configuration"),
    ("events",): Verb("events:events", "", "Show what happened in the cluster"),
    ("auth", "info"): Verb("agent:auth_info", "", "Show which orchestrator is asked, and as whom"),
    ("profile", "list"): Verb("profile:list_profiles", "", "List orchestrators by name"),
    ("profile", "show"): Verb("profile:show", "[NAME]", "Show a profile"),
    ("profile", "save"): Verb("profile:save", "NAME", "Make or change a profile"),
    ("profile", "select"): Verb("profile:select", "NAME", "Use a profile from now on"),
    ("profile", "delete"): Verb("profile:delete", "NAME", "Forget a profile"),
    ("config", "list"): Verb("config:list_config", "", "List the settings of this client"),
    ("config", "set"): Verb("config:set_config", "KEY=VALUE", "Keep a setting of this client"),
    ("completion",): Verb("completion:completion", "SHELL", "Print what bash, zsh or fish completes by"),
    ("version",): Verb("agent:versions", "", "Show the versions of client and orchestrator"),
    ("serve",): Verb("servers:serve", "", "Run an orchestrator here", is_passed_on=True),
    ("devstack",): Verb("devstack:devstack", "", "Run an orchestrator and nodes here, to try things out"),
    ("tui",): Verb(
        "servers:pass_on", "[JOB]", "Open the terminal UI; so does shoal alone on a terminal", is_passed_on=True
    ),
}
GROUPS = {path[0] for path in VERBS if len(path) > 1}
INSTEAD = {
    "logs": "job logs",
    "ps": "job list",
    "run": "job run",
    "jobs": "job list",
    "list": "job list",
    "ls": "job list",
    "nodes": "node list",
    "get": "job get",
    "describe": "job describe",
    "stop": "job stop",
    "cancel": "job stop",
    "kill": "job stop",
    "retry": "job retry",
    "wait": "job wait",
    "submit": "job run",
    "create": "job run",
    "validate": "job validate",
    "exec": "docker run",
}
"""What people type at first, and the verb that does it."""


def load(verb: Verb) -> click.Command:
    """The click command of a verb."""
    module, _, name = verb.place.partition(":")
    command = getattr(importlib.import_module(f"tui.cli.commands.{module}"), name)
    assert isinstance(command, click.Command)
    return command


def overview(path: tuple[str, ...]) -> str:
    """The verbs that begin with `path`, one line each."""
    shown = {p: verb for p, verb in VERBS.items() if p[: len(path)] == path}
    names = {p: " ".join(("shoal", *p, verb.operands)).strip() for p, verb in shown.items()}
    width = max(map(len, names.values()))
    lines = [f"  {names[p]:<{width}}  {verb.summary}" for p, verb in shown.items()]
    return "\n".join(
        [
            "Partitioned jobs on many nodes.",
            "",
            *lines,
            "",
            "Everywhere, before or after the verb:",
            "  --api-host HOST  --api-port PORT   the orchestrator (SHOAL_API_HOST, SHOAL_API_PORT, SHOAL_API_KEY)",
            "  --profile NAME                     the orchestrator of a profile (SHOAL_PROFILE)",
            "  --ca-file FILE                     PEM: whose certificates to trust (SHOAL_API_CA_FILE)",
            "  --json                             data and errors as JSON",
            "  --help                             what a verb takes",
            "JOB is an id, a short id, a name, or @last: the newest job that was submitted from here.",
        ]
    )

"""What may come next on a command line: verbs, flags, jobs, nodes. Silent where nothing can be found out in time."""

import asyncio
from collections.abc import Mapping, Sequence

from tui.cli.verbs import VERBS, load

SECONDS = 0.3
"""For the orchestrator's answer."""
MOST = 50
"""Jobs that are offered: the newest."""
SHELLS = {
    "bash": """\
_shoal() {
    local IFS=$'\\n'
    COMPREPLY=($(shoal __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _shoal shoal""",
    "zsh": """\
#compdef shoal
_shoal() {
    local -a found
    found=(${(f)"$(shoal __complete "${(@)words[2,CURRENT]}" 2>/dev/null)"})
    if (( $#found )); then compadd -- $found; else _files; fi
}
compdef _shoal shoal""",
    "fish": """\
complete -c shoal -a '(shoal __complete (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'""",
}


def candidates(words: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """What the last word, which may be empty, can become. `words` are those behind `shoal`."""
    *before, last = words or [""]
    path: tuple[str, ...] = ()
    operands = 0
    for word in before:
        if word == "--":
            return []
        if word.startswith("-"):
            continue
        if path in VERBS:
            operands += 1
        else:
            path = (*path, word)
    if path not in VERBS:
        found = sorted({known[len(path)] for known in VERBS if known[: len(path)] == path and len(known) > len(path)})
    elif last.startswith("-"):
        found = flags(path)
    elif operands:
        found = []
    else:
        found = things(VERBS[path].operands, environ)
    return [one for one in found if one.startswith(last)]


def flags(path: tuple[str, ...]) -> list[str]:
    """The flags of a verb, and those of all."""
    from tui.cli.argv import GLOBALS

    if VERBS[path].is_passed_on:
        return []
    own = [name for param in load(VERBS[path]).params for name in param.opts if name.startswith("--")]
    return sorted({*own, *GLOBALS, "--help"})


def things(operands: str, environ: Mapping[str, str]) -> list[str]:
    """What the first operand of a verb can be."""
    if operands.startswith(("JOB", "NODE")):
        return asyncio.run(asked("nodes" if operands.startswith("NODE") else "jobs", environ))
    return sorted(SHELLS) if operands == "SHELL" else []


async def asked(kind: str, environ: Mapping[str, str]) -> list[str]:
    """Names and ids from the orchestrator; none where it does not answer in time."""
    from orchestrator.client import ClientError
    from tui.cli.context import Context
    from tui.cli.output import Output
    from tui.settings import SettingsError
    from tui.settings import load as settings_of

    try:
        async with (
            asyncio.timeout(SECONDS),
            Context(settings_of(environ), Output(), wants_json=False).client() as client,
        ):
            if kind == "nodes":
                return [node.info.node_id for node in (await client.nodes()).nodes]
            jobs = (await client.jobs(limit=MOST, is_reversed=True)).items
            return ["@last", *dict.fromkeys(word for job in jobs for word in (job.name, job.id) if " " not in word)]
    except (ClientError, SettingsError, TimeoutError, OSError):
        return []

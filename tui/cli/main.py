"""One invocation: read the command line, run the verb, turn what went wrong into words and an exit code."""

import os
import sys
from collections.abc import Mapping, Sequence

import click

from tui.cli import argv as command_line
from tui.cli.context import Context
from tui.cli.diagnostics import CommandError, ExitCode, UsageError, from_client, interrupted, report
from tui.cli.output import Output, OutputClosedError
from tui.cli.verbs import GROUPS, VERBS, overview
from tui.settings import SettingsError, load

COMPLETE = "__complete"
"""The verb that the scripts of `completion` call."""


def run(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run a command line; returns its exit code. Nothing but stdout, stderr and the code tells how it went."""
    output = Output()
    if list(argv[:1]) == [COMPLETE]:
        return _complete(argv[1:], environ, output)
    as_json = command_line.wants_json(argv)
    try:
        try:
            code = _run(argv, environ, output)
            output.flush()
        except (BrokenPipeError, OutputClosedError):
            _close_stdout()
            return ExitCode.CLOSED
        except CommandError as error:
            output.flush()
            return report(error, as_json=as_json)
    except KeyboardInterrupt:
        return report(interrupted(), as_json=True) if as_json else ExitCode.INTERRUPTED
    except OSError as error:
        _close_stdout()
        message = f"{error.filename or 'output'}: {(error.strerror or str(error)).lower()}"
        return report(CommandError(message, ExitCode.FAILED), as_json=as_json)
    except Exception as error:  # noqa: BLE001 - a bug of ours is told in one line too
        return report(bug(error, environ), as_json=as_json)
    except (BrokenPipeError, OutputClosedError):
        _close_stdout()
        return ExitCode.CLOSED
    return code


def _complete(words: Sequence[str], environ: Mapping[str, str], output: Output) -> int:
    """What a shell may offer next, a line each; whatever goes wrong offers nothing."""
    from tui.cli.completion import candidates

    try:
        for one in candidates(words, environ):
            output.line(one)
    except Exception:  # noqa: BLE001 - somebody is typing: no word of ours helps
        return ExitCode.FAILED
    return ExitCode.OK


def bug(error: Exception, environ: Mapping[str, str]) -> CommandError:
    """What is said of an error that nobody foresaw. With SHOAL_DEBUG set its traceback is shown."""
    if environ.get("SHOAL_DEBUG"):
        raise error
    message = f"this is a mistake in shoal: {type(error).__name__}: {error}"
    return CommandError(message, ExitCode.FAILED, code="Bug", hint="SHOAL_DEBUG=1 shows where; please report it")


def _run(argv: Sequence[str], environ: Mapping[str, str], output: Output) -> int:
    line = command_line.read(argv)
    if line.verb is None:
        return _help(line, output)
    if line.command is None:
        from tui.cli.commands.servers import pass_on

        return pass_on(line.path, [*given(line), *line.args])
    try:
        if line.wants_help:
            return _verb_help(line.command, line.path, output)
        _refuse_both(line)
        if line.path == ("devstack",) and given(line):
            message = (
                f"devstack starts an orchestrator of its own, here: {given(line)[0].partition('=')[0]} is not for it"
            )
            raise UsageError(message, hint="--port names its port")
        settings = load(environ, host=line.host, port=line.port, ca_file=line.ca_file, profile=line.profile)
        context = Context(settings, output, wants_json=line.wants_json)
        return _invoke(line.command, line.path, line.args, context)
    except SettingsError as error:
        raise UsageError(str(error)) from error


def given(line: command_line.Line) -> list[str]:
    """The options of every verb that say where to go, as they were given."""
    named = {"api-host": line.host, "api-port": line.port, "ca-file": line.ca_file, "profile": line.profile}
    return [f"--{name}={text}" for name, text in named.items() if text]


def _refuse_both(line: command_line.Line) -> None:
    """`--json` and `--output` contradict each other, where the latter is no result path."""
    output = next((word for word in line.args if word == "--" or word.startswith("--output=")), "--")
    if line.wants_json and output != "--" and line.verb is not None and not line.verb.takes_program:
        message = f"--json and {output} together: use one of them"
        raise UsageError(message)


def _invoke(command: click.Command, path: Sequence[str], args: Sequence[str], context: Context) -> int:
    """Run the verb; its return value is the exit code, None = 0."""
    try:
        code = command.main(args=list(args), prog_name=" ".join(("shoal", *path)), standalone_mode=False, obj=context)
    except click.Abort as error:
        raise KeyboardInterrupt from error
    except click.ClickException as error:
        hint = f"see: {' '.join(('shoal', *path))} --help"
        raise UsageError(" ".join(error.format_message().split()), hint=hint) from error
    except Exception as error:
        client = sys.modules.get("orchestrator.client")  # not imported = it raised nothing
        if client is not None and isinstance(error, client.ClientError):
            raise from_client(error) from error
        raise
    return int(code or ExitCode.OK)


def _help(line: command_line.Line, output: Output) -> int:
    """The overview; asked for: exit 0; for want of a verb: exit 2, and then on stderr."""
    if not line.path or line.path[0] in GROUPS:
        text = f"Usage: {' '.join(('shoal', *line.path))} VERB ...\n\n{overview(line.path)}"
        if line.wants_help:
            output.line(text)
            return ExitCode.OK
        sys.stderr.write(text + "\n")
    return ExitCode.USAGE


def _verb_help(command: click.Command, path: tuple[str, ...], output: Output) -> int:
    context = click.Context(command, info_name=" ".join(("shoal", *path)))
    usage = f"Usage: {' '.join(('shoal', *path))} [OPTIONS] {VERBS[path].operands}".rstrip()
    _, _, rest = command.get_help(context).partition("\n")
    output.line(usage + "\n" + rest.rstrip())
    return ExitCode.OK


def _close_stdout() -> None:
    """Nobody reads: point stdout to nowhere, so that the interpreter's last flush is silent too."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())

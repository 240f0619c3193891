"""PURE but for reading the ends of the output: what is reported of an execution that has ended."""

from node.engines.base import Outcome
from node.held import Held, Stop
from node.streams import Output
from orchestrator.contract.agent import End
from orchestrator.contract.execution import Cause, ExecutionState, RunOutput
from orchestrator.contract.job import SpecConfig

NOBODYS = (Cause.CANCELLED, Cause.WITHDRAWN)
OWN_WORDS = (Cause.EXIT, Cause.SIGNAL)
"""Causes whose message is the task's own: its last line of stderr."""
UNKNOWN_CODE = -1
"""The exit code of `RunOutput`, where there must be one, when nobody knows it."""


def state_of(cause: Cause | None) -> ExecutionState:
    """How an execution that ended for `cause` is called."""
    if cause is None:
        return ExecutionState.COMPLETED
    return ExecutionState.CANCELLED if cause in NOBODYS else ExecutionState.FAILED


def conclude(held: Held, cut: Stop | None, published: SpecConfig | None) -> End:
    """The end of an execution: by `cut` where that is what ended it, else by its outcome. Reads head and tail of the output."""
    outcome = held.outcome
    cause = cut.cause if cut is not None else outcome.cause if outcome is not None else Cause.AGENT
    message = _message(held.output, outcome, cut, cause)
    exit_code = outcome.exit_code if outcome is not None else None
    if held.output is None:
        return End(exit_code=exit_code, cause=cause, message=message, inputs=held.inputs)
    stdout, is_stdout_cut = held.output.out.head()
    stderr, is_stderr_cut = held.output.err.head()
    return End(
        exit_code=exit_code,
        cause=cause,
        message=message,
        run_output=RunOutput(
            stdout=stdout,
            stdout_truncated=is_stdout_cut,
            stderr=stderr,
            stderr_truncated=is_stderr_cut,
            exit_code=UNKNOWN_CODE if exit_code is None else exit_code,
            error_msg=message,
        ),
        published_result=published,
        run_seconds=held.run_seconds,
        tails=held.output.tails(),
        log_truncated=held.output.is_truncated,
        inputs=held.inputs,
    )


def _message(output: Output | None, outcome: Outcome | None, cut: Stop | None, cause: Cause | None) -> str:
    if cause is None:
        return ""
    if cut is not None:
        return cut.message
    assert outcome is not None
    own = output.err.last_line() if output is not None and cause in OWN_WORDS else ""
    if own:
        return own
    if outcome.message:
        return outcome.message
    return f"exit code {outcome.exit_code}" if outcome.exit_code is not None else cause.value

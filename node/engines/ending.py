"""From an exit code to an outcome: one rule for all engines."""

import signal

from node.engines.base import Outcome
from orchestrator.contract.execution import Cause

SIGNALS = range(129, 193)
"""Exit codes that tell of a signal, whoever reports them."""


def outcome(exit_code: int, *, is_out_of_memory: bool = False) -> Outcome:
    """How a program ended. When a part of it was killed for want of memory it has failed, whatever the rest made of that."""
    if is_out_of_memory:
        return Outcome(exit_code=exit_code, cause=Cause.OOM, message="memory limit exceeded")
    if exit_code == 0:
        return Outcome(exit_code=0, cause=None)
    if exit_code in SIGNALS:
        return Outcome(exit_code=exit_code, cause=Cause.SIGNAL, message=f"ended by {_signal(exit_code - 128)}")
    return Outcome(exit_code=exit_code, cause=Cause.EXIT)


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"

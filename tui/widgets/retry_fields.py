"""With what else partitions are to be tried again: memory, CPU, time, and a node to keep away from."""

from collections.abc import Sequence
from typing import TypedDict

import msgspec
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Input, Label

from orchestrator.contract.job import Job, ResourcesConfig
from orchestrator.contract.units import duration, parse_cpu, parse_size

FIELDS = ("memory", "cpu", "timeout", "avoid")


class Overrides(TypedDict, total=False):
    """Arguments of `retry_partitions`."""

    resources: ResourcesConfig
    timeout: float
    avoid_nodes: Sequence[str]


class Hint(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the failure: what it suggests."""

    cause: str = ""
    node: str = ""


class RetryFields(Horizontal):
    """Empty fields leave things as the job says."""

    DEFAULT_CSS = """
    RetryFields { height: 1; margin: 1 0 0 0; }
    RetryFields Label { width: auto; padding: 0 1 0 0; }
    RetryFields Input { height: 1; border: none; background: $panel; padding: 0; margin: 0 1 0 0; width: 1fr; }
    RetryFields Input:focus { border: none; }
    """

    def compose(self) -> ComposeResult:
        """Label and field, four times."""
        for name in FIELDS:
            yield Label(name, markup=False)
            yield Input(id=f"retry-{name}", select_on_focus=False)

    def suggest(self, job: Job, hint: Hint) -> None:
        """Show what the job has; after a lack of memory, suggest twice of it; after others, the node to avoid."""
        own = job.task.resources
        seconds = job.task.timeouts.execution_timeout
        for name, text in (
            ("memory", own.memory),
            ("cpu", own.cpu),
            ("timeout", f"{seconds}s" if seconds else ""),
            ("avoid", hint.node),
        ):
            self.query_one(f"#retry-{name}", Input).placeholder = text or "none"
        if hint.cause == "oom" and own.memory:
            self.query_one("#retry-memory", Input).value = doubled(own.memory)

    def chosen(self) -> Overrides:
        """What differs from the job. Raises ValueError that names the field."""
        texts = {name: self.query_one(f"#retry-{name}", Input).value.strip() for name in FIELDS}
        found: Overrides = {}
        for name, read in (("memory", parse_size), ("cpu", parse_cpu), ("timeout", duration)):
            if texts[name]:
                try:
                    read(texts[name])
                except ValueError as error:
                    message = f"{name}: {error}"
                    raise ValueError(message) from error
        if texts["memory"] or texts["cpu"]:
            found["resources"] = ResourcesConfig(memory=texts["memory"], cpu=texts["cpu"])
        if texts["timeout"]:
            found["timeout"] = duration(texts["timeout"])
        if texts["avoid"]:
            found["avoid_nodes"] = texts["avoid"].replace(",", " ").split()
        return found


def doubled(memory: str) -> str:
    """Twice an amount, in the unit in which it was written: `512mb` is `1024mb`."""
    number = memory.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
    return f"{float(number.replace(',', '')) * 2:g}{memory[len(number) :].strip()}"

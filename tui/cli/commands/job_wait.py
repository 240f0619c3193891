"""`job wait` and `job watch`: follow a job, for people and for programs."""

import click

from tui.cli.context import Context, named
from tui.cli.diagnostics import note
from tui.cli.options import job_argument, namespace_option
from tui.cli.submission import timeout_option


@click.command()
@job_argument
@namespace_option
@timeout_option
@click.pass_obj
def wait(context: Context, /, job: str, namespace: str, wait_timeout_secs: float) -> int:
    """Wait for the end of a job, showing its partitions; the exit code is that of `job run`.

    A job that has ended already is told at once.
    """
    return context.run(_wait(context, job, namespace, wait_timeout_secs))


async def _wait(context: Context, job: str, namespace: str, patience: float) -> int:
    from tui.cli.waiting import wait_for

    async with context.client(namespace) as client:
        wanted = await named(client, job, context.settings.instance_id())
        grid = await client.grid(wanted)
        if context.wants_json:
            context.output.json({"JobID": grid.job_id, "Warnings": []})
        old = bytes(max(number - 1, 0) for number in grid.attempts)
        return await wait_for(context, client, grid.job_id, patience=patience, told=old)


@click.command()
@job_argument
@namespace_option
@click.pass_obj
def watch(context: Context, /, job: str, namespace: str) -> int:
    """Print what changes in a job as it comes, one JSON document a line, until it has ended.

    The first line is the whole grid (`Count`, `States`, ...: a byte a partition, base64), each further line a delta
    (`Indices`, `States`, ...). After a lost connection it goes on without a gap; a line with `Count` replaces everything.
    """
    return context.run(_watch(context, job, namespace))


async def _watch(context: Context, job: str, namespace: str) -> int:
    from contextlib import aclosing

    from tui.feed import Delta, JobView, Offline, Online, Snapshot, follow
    from tui.feed import pack as packed

    view = JobView()
    known_nodes = 0
    async with context.client(namespace) as client:
        wanted = await named(client, job, context.settings.instance_id())
        async with aclosing(follow(client, wanted, view)) as events:
            async for event in events:
                match event:
                    case Snapshot():
                        context.output.json(packed(view))
                        known_nodes = len(view.node_ids)
                    case Delta(indices):
                        context.output.json(packed(view, indices, known_nodes=known_nodes))
                        known_nodes = len(view.node_ids)
                    case Offline(reason, pause):
                        note(f"{reason}; trying again in {pause:.1f} s")
                    case Online():
                        note("connected again")
                if view.is_terminal and isinstance(event, Snapshot | Delta):
                    return 0
    raise AssertionError

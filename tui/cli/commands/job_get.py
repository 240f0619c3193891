"""`job get`: the results of every partition, side by side, with a manifest that says which attempt each came from."""

import asyncio
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click
import msgspec

from tui.cli.commands.job_partitions import every_row
from tui.cli.context import LAST, Context, named
from tui.cli.diagnostics import CommandError, ExitCode, UsageError, note, warn
from tui.cli.options import flag, job_argument, namespace_option
from tui.cli.printable import counted, printable
from tui.cli.submission import Seconds
from tui.cli.unpacking import UnpackError, unpack

if TYPE_CHECKING:
    from orchestrator.client import OrchestratorClient
    from orchestrator.contract.job import SpecConfig
    from orchestrator.contract.partitions import Row

MANIFEST = "manifest.json"
ELSEWHERE = "name another directory with --output-dir, or move that one away"
AT_ONCE = 4
"""Archives that are fetched at the same time."""
RAW = re.compile(r"raw/\w[\w.-]*")
OURS = re.compile(r"/api/v1/orchestrator/jobs/[^/]+/results/(\d+)\.tar\.gz")


class File(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A file of a partition's results."""

    path: str
    """Below the partition's directory."""
    size: int


class Entry(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """One partition in the manifest."""

    index: int
    execution_id: str = msgspec.field(name="ExecutionID")
    attempt: int
    node_id: str = msgspec.field(name="NodeID")
    exit_code: int | None
    files: tuple[File, ...]


class Manifest(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """What `manifest.json` holds."""

    job_id: str = msgspec.field(name="JobID")
    job_version: int
    partitions: tuple[Entry, ...]


@click.command()
@job_argument
@namespace_option
@click.option(
    "--output-dir",
    type=click.Path(),
    default=None,
    metavar="DIR",
    help="An existing directory (default: ./job-JOB is made).",
)
@flag("--raw", help="Keep the archives as they are, in raw/.")
@click.option(
    "--download-timeout-secs", type=Seconds(), default=0, metavar="D", help="Limit of all downloads; 0 = none."
)
@click.pass_obj
def get(
    context: Context, /, job: str, namespace: str, output_dir: str | None, *, raw: bool, download_timeout_secs: float
) -> int:
    """Fetch the results of every completed partition: job-JOB/partition-0/..., and job-JOB/manifest.json.

    The job need not have ended. Fetching again replaces, once all is here, what was fetched of the job before;
    a directory with the results of another job, or with a partition that was not fetched, is left as it is (exit 4).
    """  # fmt: skip
    if output_dir is not None and not Path(output_dir).is_dir():
        message = f"output dir does not exist: {output_dir}"
        raise UsageError(message)
    return context.run(_get(context, job, namespace, output_dir, is_raw=raw, patience=download_timeout_secs))


async def _get(
    context: Context, job: str, namespace: str, output_dir: str | None, *, is_raw: bool, patience: float
) -> int:
    async with context.client(namespace) as client:
        wanted = await named(client, job, context.settings.instance_id())
        if not context.wants_json:
            note(f"Fetching results of job '{job}'...")
        grid = await client.grid(wanted)
        items = (await client.results(grid.job_id)).items
        if not items:
            return await _tell_none(context, client, grid.job_id, job)
        name = grid.job_id if job == LAST else job if namespace in ("", "default") else f"{namespace}-{job}"
        target = Path(output_dir) if output_dir is not None else Path(f"job-{name}")
        rows = {row.index: row for row in (await every_row(client, grid.job_id, "completed")).items}
        try:
            target.mkdir(exist_ok=True)
            former = await asyncio.to_thread(_former, target, grid.job_id)
            with tempfile.TemporaryDirectory(prefix=".fetching-", dir=target) as scratch:
                async with asyncio.timeout(patience or None):
                    entries = await _fetch_all(client, grid.job_id, items, rows, Path(scratch), is_raw=is_raw)
                manifest = Manifest(job_id=grid.job_id, job_version=grid.job_version, partitions=tuple(entries))
                await asyncio.to_thread(_put, manifest, Path(scratch), target, former)
        except TimeoutError as error:
            message = f"the results were not fetched within {patience:g} s"
            raise CommandError(message, ExitCode.TIMED_OUT) from error
        except OSError as error:
            message = f"{error.filename or target}: {error.strerror or error}"
            raise CommandError(message, ExitCode.FAILED) from error
        _tell(context, job, target, manifest, missing=len(rows.keys() - {entry.index for entry in entries}))
        return ExitCode.OK


async def _tell_none(context: Context, client: "OrchestratorClient", job_id: str, job: str) -> int:
    """No partition has published anything: that is not wrong."""
    if context.wants_json:
        grid = await client.grid(job_id)
        context.output.json(Manifest(job_id=job_id, job_version=grid.job_version, partitions=()))
        return ExitCode.OK
    context.output.line("No results found")
    context.output.line(
        "Results are kept of a job with result paths. What its partitions wrote to stdout is in its logs:"
    )
    context.output.line()
    context.output.line(f"  shoal job logs {printable(job)}")
    return ExitCode.OK


def _tell(context: Context, job: str, target: Path, manifest: Manifest, *, missing: int) -> None:
    if missing:
        warn(f"{counted(missing, 'completed partition')} published no results, or they are not kept any more")
    if context.wants_json:
        context.output.json(manifest)
        return
    context.output.line(f"Results for job '{printable(job)}' have been written to...")
    context.output.line(printable(str(target)))


async def _fetch_all(
    client: "OrchestratorClient",
    job_id: str,
    items: "tuple[SpecConfig, ...]",
    rows: "dict[int, Row]",
    target: Path,
    *,
    is_raw: bool,
) -> list[Entry]:
    """Fetch every item, a few at a time; returns the manifest's entries by index."""
    places = [_place(item) for item in items]
    entries: list[Entry] = []
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(url: str, index: int | None) -> None:
        async with gate:
            files = await _fetch(client, job_id, url, index, target, is_raw=is_raw)
        if files is not None and index is not None:
            entries.append(_entry(index, rows.get(index), files))

    try:
        async with asyncio.TaskGroup() as group:
            for url, index in places:
                group.create_task(one(url, index))
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return sorted(entries, key=lambda entry: entry.index)


def _former(target: Path, job_id: str) -> set[str]:
    """What an earlier fetch put here, by its manifest: names below `target`. Raises CommandError (4) for another job's."""
    path = target / MANIFEST
    try:
        former = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        return set()
    except msgspec.MsgspecError as error:
        message = f"{path} is no manifest of results: nothing was fetched"
        raise CommandError(message, ExitCode.CONFLICT, hint=ELSEWHERE) from error
    if former.job_id != job_id:
        message = f"{target} has the results of job {former.job_id}: nothing was fetched"
        raise CommandError(message, ExitCode.CONFLICT, hint=ELSEWHERE)
    names = {f"partition-{entry.index}" for entry in former.partitions}
    return names | {file.path for entry in former.partitions for file in entry.files if RAW.fullmatch(file.path)}


def _put(manifest: Manifest, draft: Path, target: Path, former: set[str]) -> None:
    """Put what was fetched in the place of what was fetched before. Raises CommandError (4) before it touches others' files."""
    new = {path.relative_to(draft).as_posix(): path for path in (*draft.glob("partition-*"), *draft.glob("raw/*"))}
    for name in sorted(new.keys() - former):
        if os.path.lexists(target / name):
            message = f"{target / name} is there already and was not fetched: nothing was written"
            raise CommandError(message, ExitCode.CONFLICT, hint=ELSEWHERE)
    for name in former:
        place = target / name
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)
    written = draft / MANIFEST
    written.write_bytes(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
    written.replace(target / MANIFEST)
    for name, path in new.items():
        (target / name).parent.mkdir(exist_ok=True)
        path.rename(target / name)


def _place(item: "SpecConfig") -> tuple[str, int | None]:
    """URL of a published result, and its partition where our own orchestrator keeps it."""
    url = item.params.get("URL") or item.params.get("PreSignedURL")
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        message = "No supported downloader found for the published results. You will have to download the results differently."
        raise CommandError(message, ExitCode.FAILED, hint=msgspec.json.encode(item).decode())
    ours = OURS.fullmatch(urlsplit(url).path)
    return url, int(ours[1]) if ours else None


async def _fetch(
    client: "OrchestratorClient", job_id: str, url: str, index: int | None, target: Path, *, is_raw: bool
) -> tuple[File, ...] | None:
    """Fetch one archive and unpack it; None = the orchestrator has none of this partition (any more)."""
    from orchestrator.client import ClientError
    from orchestrator.client_stream import archive, download

    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=target) as scratch:
        packed = Path(scratch) / "archive.tar.gz"
        try:
            if index is None:
                await download(client, url, packed)
            else:
                await archive(client, job_id, index, packed)
        except ClientError as error:
            if error.status == 404:
                return None
            raise
        name = (
            f"{index}.tar.gz"
            if index is not None
            else re.sub(r"[^\w.-]", "_", urlsplit(url).netloc + urlsplit(url).path)
        )
        if is_raw or index is None:
            (target / "raw").mkdir(exist_ok=True)
            packed.replace(target / "raw" / name)
            return (File(path=f"raw/{name}", size=(target / "raw" / name).stat().st_size),)
        try:
            found = await asyncio.to_thread(unpack, packed, f"partition-{index}", target, Path(scratch))
        except UnpackError as error:
            message = f"the archive of partition {index} cannot be unpacked: {error}"
            raise CommandError(message, ExitCode.FAILED, hint="--raw keeps the archives as they are") from error
        return tuple(File(path=path, size=size) for path, size in found)


def _entry(index: int, row: "Row | None", files: tuple[File, ...]) -> Entry:
    return Entry(
        index=index,
        execution_id=row.execution_id if row else "",
        attempt=row.attempts if row else 0,
        node_id=row.node_id if row else "",
        exit_code=row.exit_code if row else None,
        files=files,
    )

"""Which app the flags of `shoal tui` ask for: the ordinary one, one that records meanwhile, or a replay."""

from collections.abc import Callable
from typing import TypeVar

from textual.screen import Screen

from orchestrator.client import ClientError, OrchestratorClient
from tui import app
from tui.background import begin
from tui.cli.diagnostics import CommandError, ExitCode
from tui.model.text import clip
from tui.options import Options
from tui.recording import Recorder, RecordingError
from tui.replay import open_recording
from tui.screens.job import JobPage

T = TypeVar("T")


def run(options: Options) -> int:
    """Open it and stay until it is left; returns the exit code. Raises CommandError for a recording that is none."""
    try:
        if options.replay is not None:
            opened: app.ShoalApp = open_recording(options)
        else:
            opened = app.ShoalApp(options) if options.record is None else RecordingApp(options)
    except RecordingError as error:
        raise CommandError(str(error), ExitCode.USAGE, code="BadRecording") from error
    code = opened.run(mouse=options.mouse)
    return opened.return_code or code or 0


class RecordingApp(app.ShoalApp, inherit_bindings=False):
    """Writes down what it hears of the job that is opened first. Line 1 says so."""

    BINDINGS = app.ShoalApp.BINDINGS

    def __init__(self, options: Options, *, client: OrchestratorClient | None = None) -> None:
        super().__init__(options, client=client)
        self.is_begun = False
        self.said = "records the job opened first"

    def cover(self, screen: Screen[T], then: Callable[[T | None], None] | None = None) -> None:
        """The first page of a job begins the recording."""
        super().cover(screen, then)
        if isinstance(screen, JobPage) and not self.is_begun:
            self.is_begun = True
            self.said = f"REC {clip(screen.at.job_name or screen.at.job_id, 20)}"
            begin(self, "record", self._record, screen.at.job_id)

    async def _record(self, job: str) -> None:
        assert self.options.record is not None
        try:
            await Recorder(self.client, job, self.options.record).run()
        except* (OSError, ClientError) as group:
            self.said = "not recording"
            error = group.exceptions[0]
            told = f"{self.options.record}: {error.strerror or error}" if isinstance(error, OSError) else str(error)
            self.tell(f"recording: {told}", severity="error", seconds=15)

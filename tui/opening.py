"""Which app the flags of `shoal tui` ask for: the ordinary one, one that records meanwhile, or a replay."""

from orchestrator.client import ClientError
from tui import app
from tui.cli.diagnostics import CommandError, ExitCode
from tui.options import Options
from tui.recording import Recorder, RecordingError
from tui.replay import open_recording


def run(options: Options) -> int:
    """Open it and stay until it is left; returns the exit code. Raises CommandError for a recording that is none."""
    if options.replay is None and options.record is None:
        return app.run(options)
    try:
        opened = open_recording(options) if options.replay is not None else RecordingApp(options)
    except RecordingError as error:
        raise CommandError(str(error), ExitCode.USAGE, code="BadRecording") from error
    code = opened.run(mouse=options.mouse)
    return opened.return_code or code or 0


class RecordingApp(app.ShoalApp, inherit_bindings=False):
    """Writes down what it hears of its job."""

    BINDINGS = app.ShoalApp.BINDINGS

    async def on_mount(self) -> None:
        """Begin to record."""
        self.run_worker(self._record(), group="record", exclusive=True, exit_on_error=False)

    async def _record(self) -> None:
        assert self.options.record is not None
        try:
            await Recorder(self.client, self.options.job, self.options.record).run()
        except* OSError as group:
            self.tell(f"recording: {group.exceptions[0]}", severity="error", seconds=15)
        except* ClientError as group:
            self.tell(f"recording: {group.exceptions[0]}", severity="error", seconds=15)

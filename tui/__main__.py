"""The `shoal` command: the terminal UI (`tui`, or nothing at all on a terminal), else a verb of the headless CLI."""

import os
import sys


def main() -> int:
    """Run the command line of this process; returns the exit code."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed by whoever started us
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - for the process' life
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    argv = sys.argv[1:]
    if argv[:1] == ["tui"] or not argv:
        from tui.launch import is_terminal, launch

        if argv or is_terminal(os.environ):
            return launch(argv[1:], os.environ)
    from tui.cli.main import run

    return run(argv, os.environ)


if __name__ == "__main__":
    sys.exit(main())

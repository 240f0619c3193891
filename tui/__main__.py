"""The `shoal` command."""

import os
import sys


def main() -> int:
    """Run the command line of this process; returns the exit code."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed by whoever started us
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - for the process' life
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    from tui.cli.main import run

    return run(sys.argv[1:], os.environ)


if __name__ == "__main__":
    sys.exit(main())

"""The `shoal` command."""

import os
import sys


def main() -> int:
    """Run the command line of this process; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    from tui.cli.main import run

    return run(sys.argv[1:], os.environ)


if __name__ == "__main__":
    sys.exit(main())

"""The orchestrator whose commits are never synced to the disk, to compare with: no setting of the product makes it one."""

import sqlite3
import sys

from orchestrator.__main__ import main
from orchestrator.store import files

tune = files._tune


def tune_unsynced(connection: sqlite3.Connection) -> None:
    """As the store does, but for the syncs."""
    tune(connection)
    connection.execute("PRAGMA synchronous = OFF")


if __name__ == "__main__":
    files._tune = tune_unsynced
    sys.exit(main())

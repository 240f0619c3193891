"""Tables as files: CSV, or JSON with the same names."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tui.app import ShoalApp

KINDS = ("csv", "json")


def export(app: "ShoalApp", kind: str, name: str, rows: Sequence[Mapping[str, object]], what: str) -> None:
    """Write rows into `name.kind`, and say so: `what` they are, with their number."""
    if kind == "json":
        text = json.dumps([dict(row) for row in rows], indent=2, ensure_ascii=False, default=str) + "\n"
    else:
        sheet = io.StringIO()
        writer = csv.writer(sheet)
        writer.writerow(rows[0] if rows else ())
        writer.writerows(row.values() for row in rows)
        text = sheet.getvalue()
    try:
        path = app.write_file(f"{name}.{kind}", text.encode())
    except OSError as error:
        app.tell(f"{what} could not be written: {error}", severity="error")
    else:
        app.tell(f"{what} written to {path}")

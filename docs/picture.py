"""Run the demo and make docs/demo.svg of what it prints: python docs/picture.py. The picture is real output."""

import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

HERE = Path(__file__).resolve().parent
STYLES = {r"^==> .*": "bold cyan", r"^\$ .*": "bold", r"✓ \w+": "green", r"✗ .*": "red", r"▶ \w+": "yellow"}


def main() -> int:
    """Record one run; its exit code."""
    demo = [sys.executable, str(HERE.parent / "samples" / "demo" / "demo.py")]
    done = subprocess.run(demo, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        return done.returncode
    lines = ["$ make demo", *done.stdout.rstrip().splitlines()]
    console = Console(record=True, width=max(map(len, lines)) + 1, file=sys.stderr)
    for line in lines:
        text = Text(line)
        for pattern, style in STYLES.items():
            text.highlight_regex(pattern, style)
        console.print(text, overflow="ignore", crop=False, no_wrap=True)
    svg = console.export_svg(title="shoal")
    (HERE / "demo.svg").write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL))
    return 0


if __name__ == "__main__":
    sys.exit(main())

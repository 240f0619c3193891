"""The keymap file: YAML, binding ids and keys. What cannot be used is named, line by line; the rest holds."""

from pathlib import Path

import yaml

from tui.bindings import check_keymap

NAME = "keymap.yaml"


def read(path: Path | None, home: Path) -> tuple[dict[str, str], list[str]]:
    """The usable entries of a keymap file, and a line for each problem. Without `path`: the one at home, if it is there."""
    found = path or home / NAME
    try:
        text = found.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}, [f"keymap: {found} is not there"] if path else []
    except (OSError, UnicodeDecodeError) as error:
        return {}, [f"keymap: {found} cannot be read: {error}"]
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        at = f", line {mark.line + 1}" if mark is not None else ""
        return {}, [
            f"keymap: {found}{at} is no YAML: {' '.join(str(getattr(error, 'problem', None) or error).split())}"
        ]
    if content is None:
        return {}, []
    if not isinstance(content, dict):
        return {}, [f"keymap: {found}: allowed: lines like  job.log: l"]
    odd = [name for name, keys in content.items() if not isinstance(keys, str | int)]
    usable, problems = check_keymap({str(name): str(keys) for name, keys in content.items() if name not in odd})
    return usable, [
        *problems,
        *(f"keymap: {name}: found {content[name]!r:.40}, allowed: keys, like  l  or  l,ctrl+l" for name in odd),
    ]

"""The keymap file: YAML, binding ids and keys. What cannot be used is named, line by line; the rest holds."""

from collections.abc import Iterator
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
        twice = list(_twice(yaml.compose(text, Loader=yaml.SafeLoader)))
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
    for name, _ in twice:
        content.pop(name, None)
    odd = [name for name, keys in content.items() if not isinstance(keys, str | int)]
    usable, problems = check_keymap({str(name): str(keys) for name, keys in content.items() if name not in odd})
    return usable, [
        *(f"keymap: {name}: found {found}, allowed: one line for each id" for name, found in twice),
        *problems,
        *(f"keymap: {name}: found {content[name]!r:.40}, allowed: keys, like  l  or  l,ctrl+l" for name in odd),
    ]


def _twice(node: yaml.Node | None) -> Iterator[tuple[str, str]]:
    """Ids that stand there more than once, with all that is said of them: YAML itself would take the last."""
    said: dict[str, list[str]] = {}
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        text = repr(value.value) if isinstance(value, yaml.ScalarNode) else f"a {value.id}"
        said.setdefault(str(key.value), []).append(f"{text} (line {key.start_mark.line + 1})")
    return ((name, " and ".join(texts)) for name, texts in said.items() if len(texts) > 1)

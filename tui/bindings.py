"""Every key of the UI, once: id, keys, action, words. Screens and widgets take theirs from here; the keymap file is checked here.

A key belongs to a *context*; what is bound where a context is active is told by `bindings("page", "job")`. Ids are
`context.name`. To add a key: a line in KEYS, an `action_...` method where its context is bound.
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from textual.binding import Binding, BindingType
from textual.keys import Keys

from tui.key import Key
from tui.tool_keys import TOOL_AHEAD, TOOL_KEYS, TOOL_SHADOWS, TOOL_TOGETHER

FIRST = frozenset({"app.quit", *TOOL_AHEAD})
"""Keys that count before what the widget with the focus makes of them."""

KEYS = (
    # everywhere
    Key("app.command", "colon", "app.command", "command", "Command bar: go anywhere by name", 90),
    Key(
        "app.palette",
        "ctrl+p,semicolon",
        "app.command_palette",
        "palette",
        "Find any command, job or node by a few letters",
    ),
    Key("app.help", "question_mark,f1", "app.help", "help", "The keys that are active now, and the legend", 99),
    Key("app.picture", "S", "app.picture", "picture", "Save this screen as an SVG picture"),
    Key("app.pause", "p", "app.pause", "pause", "Stop painting; the data goes on"),
    Key("app.reconnect", "R", "app.reconnect", "reconnect", "Connect again now"),
    Key("app.quit", "ctrl+q,ctrl+c", "app.quit", "quit", "Leave shoal"),
    Key("app.suspend", "ctrl+z", "app.suspend_process", "suspend", "Back to the shell; fg returns"),
    Key("app.next-theme", "f9", "app.next_theme", "theme", "The next theme: dark, light, high contrast, monochrome"),
    # every page
    Key("page.back", "escape,q", "back", "back", "Clear the filter, else close this screen", 80),
    Key("page.filter", "slash", "filter", "filter", "Filter; in a log: search", 40),
    Key("page.go", "g", "go", "go", "Go to: jobs, nodes, events, errors, logs, profiles, top", 85),
    Key("page.focus-next", "tab", "app.focus_next", "next part", "To the next part of the screen"),
    Key(
        "page.focus-previous", "shift+tab", "app.focus_previous", "previous part", "To the previous part of the screen"
    ),
    # the go menu
    Key("go.jobs", "j", "choose('jobs')", "jobs", "The list of jobs"),
    Key("go.nodes", "n", "choose('nodes')", "nodes", "The nodes; from a partition: its node"),
    Key("go.events", "v", "choose('events')", "events", "What happened in the cluster"),
    Key("go.errors", "e", "choose('errors')", "errors", "Failures, grouped"),
    Key("go.logs", "l", "choose('logs')", "logs", "Logs of all partitions"),
    Key("go.profiles", "p", "choose('profiles')", "profiles", "Other orchestrators"),
    Key("go.top", "g", "choose('top')", "top", "To the top"),
    Key("go.close", "escape,q", "choose('')", "close", "Close this menu", 1),
    # tables and grid: moving
    Key("move.up", "up,k", "move(-1)", "up", "Up"),
    Key("move.down", "down,j", "move(1)", "down", "Down"),
    Key("move.page-up", "pageup,ctrl+b", "page(-1)", "page up", "A page up"),
    Key("move.page-down", "pagedown,ctrl+f", "page(1)", "page down", "A page down"),
    Key("move.home", "home", "home", "top", "To the top"),
    Key("move.end", "end,G", "end", "end", "To the end"),
    Key("move.left", "left,h", "shift(-1)", "left", "Left"),
    Key("move.right", "right", "shift(1)", "right", "Right"),
    Key("move.open", "enter", "open", "open", "Open what is under the cursor", 1),
    # the list of jobs
    Key("jobs.compose", "c", "compose_new", "compose", "Compose a new job", 5, acts=True),
    Key(
        "jobs.compose-from",
        "C",
        "compose_from",
        "compose from this",
        "Compose a job like the one under the cursor",
        20,
        acts=True,
    ),
    Key("jobs.retry", "r", "retry", "retry failed", "Retry the failed partitions of the job", 6, acts=True),
    Key("jobs.stop", "x", "stop", "stop", "Stop the job", 7, acts=True),
    Key(
        "jobs.suspend",
        "H",
        "hold('suspend')",
        "suspend",
        "Begin nothing more of the job until it is resumed",
        12,
        acts=True,
    ),
    Key("jobs.resume", "H", "hold('resume')", "resume", "Go on with the suspended job", 12, acts=True),
    Key("jobs.mark", "space", "mark", "mark", "Mark the job under the cursor: keys act on all that are marked", 11),
    Key("jobs.mark-range", "V", "mark_range", "mark range", "Mark from here; a second time: to here"),
    Key("jobs.mark-all", "asterisk", "mark_all", "mark all", "Mark all jobs that are shown"),
    Key("jobs.sort", "O", "sort", "sort", "Sort: trouble, newest, name, state, progress", 8),
    Key("jobs.errors", "E", "app.open_tool('errors')", "errors", "Failures of the job, grouped", 30),
    Key("jobs.events", "v", "app.open_tool('events')", "events", "What happened to the job", 31),
    Key("jobs.copy", "y", "copy", "copy", "Copy the id of the job"),
    Key("jobs.spec", "Y", "copy_spec", "copy spec", "Copy the job as YAML"),
    Key("jobs.save", "s", "save", "save", "Save the list as CSV"),
    Key("jobs.save-json", "ctrl+s", "save_json", "save JSON", "Save the list as JSON"),
    Key("jobs.menu", "a", "app.command_palette", "actions", "All that can be done here"),
    # one job
    Key("job.next", "n", "next(1)", "next failed", "The next failed partition, or match of the filter", 2),
    Key("job.previous", "N", "next(-1)", "previous failed", "The previous failed partition, or match of the filter"),
    Key("job.next-unfinished", "u", "next_unfinished(1)", "unfinished", "The next partition that is not finished", 9),
    Key(
        "job.previous-unfinished",
        "U",
        "next_unfinished(-1)",
        "previous unfinished",
        "The previous unfinished partition",
    ),
    Key("job.log", "l", "log", "log", "Log of the inspector's partition", 3),
    Key("job.zoom-in", "plus,equals_sign", "zoom(-1)", "zoom in", "Fewer partitions a cell", 10),
    Key("job.zoom-out", "minus,backspace", "zoom(1)", "zoom out", "More partitions a cell", 11),
    Key("job.zoom-fit", "z", "zoom(0)", "fit", "The whole job on one screen"),
    Key("job.lens-state", "1", "lens(0)", "lens", "Colour by state", 14),
    Key("job.lens-attempts", "2", "lens(1)", "lens attempts", "Colour by attempts"),
    Key("job.lens-node", "3", "lens(2)", "lens node", "Colour by node"),
    Key("job.lens-duration", "4", "lens(3)", "lens duration", "Colour by duration against the median"),
    Key("job.lens-group", "5", "lens(4)", "lens failure group", "Colour by failure group"),
    Key("job.table", "t", "table", "table", "Partitions as a table, and back", 12),
    Key("job.why", "W", "why", "why", "Why partitions wait", 8),
    Key("job.errors", "E", "app.open_tool('errors')", "errors", "Failures of the job, grouped", 15),
    Key("job.events", "v", "app.open_tool('events')", "events", "What happened to the job", 21),
    Key("job.logs", "L", "app.open_tool('logs')", "all logs", "Logs of all partitions, as they are written", 16),
    Key("job.retry", "r", "retry", "retry", "Retry the target's failed and stopped partitions", 5, acts=True),
    Key("job.stop", "x", "stop", "stop", "Stop the target's unfinished partitions", 6, acts=True),
    Key(
        "job.suspend",
        "H",
        "hold('suspend')",
        "suspend",
        "Begin nothing more of the job until it is resumed",
        17,
        acts=True,
    ),
    Key("job.resume", "H", "hold('resume')", "resume", "Go on with the suspended job", 17, acts=True),
    Key("job.mark", "space", "mark", "mark", "Mark the cell under the cursor", 18),
    Key("job.mark-range", "V", "mark_range", "mark range", "Mark from here; a second time: to here"),
    Key("job.mark-all", "asterisk", "mark_all", "mark matching", "Mark all that the filter takes"),
    Key("job.sort", "O", "sort", "sort", "Sort the table by another column"),
    Key("job.copy", "y", "copy", "copy", "Copy the id of the inspector's execution"),
    Key("job.spec", "Y", "copy_spec", "copy spec", "Copy the job as YAML"),
    Key("job.save", "s", "save", "save", "Save the partitions as CSV"),
    Key("job.save-json", "ctrl+s", "save_json", "save JSON", "Save the partitions as JSON"),
    Key("job.menu", "a", "app.command_palette", "actions", "All that can be done here"),
    # one partition
    Key("partition.log", "l,enter", "log", "log", "Log of the attempt under the cursor", 1),
    Key("partition.earlier", "less_than_sign", "attempt(-1)", "attempt", "The attempt before", 2),
    Key("partition.later", "greater_than_sign", "attempt(1)", "later attempt", "The attempt after"),
    Key(
        "partition.previous",
        "left_square_bracket,K",
        "neighbour(-1)",
        "previous failed",
        "The previous failed partition, or match",
    ),
    Key(
        "partition.next",
        "right_square_bracket,J",
        "neighbour(1)",
        "next failed",
        "The next failed partition, or match",
        3,
    ),
    Key("partition.mark-a", "m", "app.mark_a", "mark as A", "Keep this attempt to compare another with it", 7),
    Key("partition.compare", "d", "app.open_tool('compare')", "compare", "Compare A with this attempt", 6),
    Key("partition.retry", "r", "retry", "retry", "Retry this partition", 4, acts=True),
    Key("partition.stop", "x", "stop", "stop", "Stop this partition", 5, acts=True),
    Key("partition.copy", "y", "copy", "copy", "Copy the id of the execution"),
    Key("partition.spec", "Y", "copy_spec", "copy spec", "Copy the job as YAML"),
    Key("partition.why", "W", "why", "why", "Why it waits", 8),
    Key("partition.menu", "a", "app.command_palette", "actions", "All that can be done here"),
    # a log
    Key("log.follow", "f", "follow", "follow", "Stay at the end as it grows", 1),
    Key("log.next", "n", "match(1)", "match", "The next match", 3),
    Key("log.previous", "N", "match(-1)", "previous match", "The previous match"),
    Key(
        "log.neighbour-previous",
        "left_square_bracket,K",
        "neighbour(-1)",
        "previous failed",
        "The log of the previous failed partition",
    ),
    Key(
        "log.neighbour-next",
        "right_square_bracket,J",
        "neighbour(1)",
        "next failed",
        "The log of the next failed partition",
        4,
    ),
    Key("log.earlier", "less_than_sign", "attempt(-1)", "attempt", "The attempt before", 5),
    Key("log.later", "greater_than_sign", "attempt(1)", "later attempt", "The attempt after"),
    Key("log.streams", "e", "streams", "streams", "stdout, stderr, or both", 10),
    Key("log.grep", "F", "grep", "filter lines", "Show only lines that match", 11),
    Key("log.wrap", "w", "wrap", "wrap", "Wrap long lines", 7),
    Key("log.times", "t", "times", "times", "Times: absolute, relative, off", 8),
    Key("log.since-all", "0", "since(0)", "since", "All lines", 12),
    Key("log.since-1m", "1", "since(60)", "since 1 minute", "The last minute"),
    Key("log.since-5m", "2", "since(300)", "since 5 minutes", "The last 5 minutes"),
    Key("log.since-15m", "3", "since(900)", "since 15 minutes", "The last 15 minutes"),
    Key("log.since-30m", "4", "since(1800)", "since 30 minutes", "The last 30 minutes"),
    Key("log.since-1h", "5", "since(3600)", "since 1 hour", "The last hour"),
    Key("log.save", "s", "save", "save", "Save the log as a file", 6),
    Key("log.copy", "y", "copy", "copy line", "Copy the line at the cursor"),
    Key("log.pager", "o", "pager", "$PAGER", "Open the log in $PAGER", 13),
    Key("log.mark-a", "m", "app.mark_a", "mark as A", "Keep this attempt to compare another with it"),
    Key("log.compare", "d", "app.open_tool('compare')", "compare", "Compare A with this attempt", 14),
    Key("log.retry", "r", "retry", "retry", "Retry this partition", 9, acts=True),
    Key("log.stop", "x", "stop", "stop", "Stop this partition", 15, acts=True),
    Key("log.menu", "a", "app.command_palette", "actions", "All that can be done here"),
    # the text of a log
    Key("text.up", "up,k", "move(-1)", "up", "A line up"),
    Key("text.down", "down,j", "move(1)", "down", "A line down"),
    Key("text.page-up", "pageup,b,ctrl+b", "page(-1)", "page up", "A page up"),
    Key("text.page-down", "pagedown,space,ctrl+f", "page(1)", "page down", "A page down"),
    Key("text.home", "home", "home", "top", "To the top"),
    Key("text.end", "end,G", "end", "end", "To the end, and follow"),
    Key("text.left", "left,h", "shift(-8)", "left", "Left"),
    Key("text.right", "right", "shift(8)", "right", "Right"),
    Key("text.open", "enter", "open('line')", "whole line", "The whole line, JSON laid out", 2),
    Key("text.open-log", "enter", "open('log')", "its log", "The log that the line is from, at that line", 2),
    # dialogs
    Key("dialog.accept", "y", "accept", "yes", "Do it", 1),
    Key("dialog.cancel", "escape,n,q", "cancel", "cancel", "Leave everything as it is", 2),
    Key("dialog.completed", "i", "toggle_completed", "include completed", "Also what is completed already", 3),
    Key("dialog.next", "tab,right,down", "app.focus_next", "next", "The next button", 4),
    Key("dialog.previous", "shift+tab,left,up", "app.focus_previous", "previous", "The previous button"),
    Key("dialog.press", "enter,space", "press", "press", "Press the button", 5),
    # a text that is only read
    Key("reader.close", "escape,q,question_mark,f1,enter", "close", "close", "Close this text", 1),
    Key("reader.up", "up,k", "scroll(-1)", "up", "Up"),
    Key("reader.down", "down,j", "scroll(1)", "down", "Down"),
    Key("reader.page-up", "pageup,b", "scroll(-20)", "page up", "A page up"),
    Key("reader.page-down", "pagedown,space", "scroll(20)", "page down", "A page down"),
    Key("reader.copy", "y", "copy", "copy", "Copy this text", 2),
    *TOOL_KEYS,
)
BY_ID: Mapping[str, Key] = {key.id: key for key in KEYS}
ACTING: Mapping[str, str] = {key.action.partition("(")[0]: key.role for key in KEYS if key.acts}
"""Actions that change the cluster, and the least role that may."""
TOGETHER = (
    ("app", "page", "move", "jobs"),
    ("app", "page", "move", "job"),
    ("app", "page", "move", "partition"),
    ("app", "page", "text", "log"),
    ("go",),
    ("dialog",),
    ("reader",),
    *TOOL_TOGETHER,
)
"""Contexts that are active at the same time: within each, one key has one meaning. What is later wins on purpose in SHADOWS."""
SHADOWS = frozenset(
    {
        ("move.open", "partition.log"),
        ("jobs.suspend", "jobs.resume"),  # only the one that applies is active
        ("job.suspend", "job.resume"),
        ("text.open", "text.open-log"),
        *TOOL_SHADOWS,
    }
)
"""Pairs that share a key on purpose: the second one is what happens, where both are active."""


def bindings(*contexts: str) -> list[BindingType]:
    """The bindings of contexts, for `BINDINGS` of a screen or widget."""
    return [
        Binding(
            key.keys,
            key.action,
            key.label,
            show=key.order > 0,
            tooltip=key.tooltip,
            id=key.id,
            priority=key.id in FIRST,
        )
        for key in KEYS
        if key.context in contexts
    ]


def check_keymap(chosen: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The entries of a keymap file (binding id to keys) that can be used, and a line for each that cannot.

    Refused: an id or a key that does not exist, with the nearest that does; a key that would have two meanings.
    """
    usable: dict[str, str] = {}
    problems = []
    for name, keys in chosen.items():
        if name not in BY_ID:
            problems.append(f"keymap: {name}: no such binding{_nearest(name, BY_ID)}")
            continue
        wrong = [key for key in _split(keys) if not is_key(key)]
        if wrong or not _split(keys):
            problems.extend(f"keymap: {name}: {key!r} is no key{_nearest(key, KNOWN_KEYS)}" for key in wrong or [keys])
            continue
        usable[name] = ",".join(_split(keys))
    for name in list(usable):
        clash = _clash(name, usable)
        if clash:
            problems.append(f"keymap: {name}: {clash}")
            del usable[name]
    return usable, problems


def clashes() -> list[str]:
    """Keys with two meanings among the defaults."""
    return [f"{key.id}: {clash}" for key in KEYS if (clash := _clash(key.id, {}))]


def _clash(name: str, chosen: Mapping[str, str]) -> str:
    mine = set(_split(chosen.get(name, BY_ID[name].keys)))
    for group in TOGETHER:
        if BY_ID[name].context not in group:
            continue
        for other in KEYS:
            is_shadow = (name, other.id) in SHADOWS or (other.id, name) in SHADOWS
            if other.id == name or other.context not in group or is_shadow:
                continue
            both = mine & set(_split(chosen.get(other.id, other.keys)))
            if both:
                return f"{min(both)} already means {other.id} ({other.tooltip})"
    return ""


CHARACTERS = """
exclamation_mark quotation_mark number_sign dollar_sign percent_sign ampersand apostrophe left_parenthesis right_parenthesis
asterisk plus comma minus full_stop slash colon semicolon less_than_sign equals_sign greater_than_sign question_mark at
left_square_bracket backslash right_square_bracket circumflex_accent underscore grave_accent left_curly_bracket vertical_line
right_curly_bracket tilde space
"""
KNOWN_KEYS = frozenset({*(key.value for key in Keys if not key.value.startswith("<")), *CHARACTERS.split()})


def is_key(key: str) -> bool:
    """Whether a terminal can send it, as far as is known: a character, a named key, or one with ctrl, alt or shift."""
    *modifiers, last = key.split("+")
    if any(modifier not in ("ctrl", "alt", "shift", "super") for modifier in modifiers):
        return False
    return key in KNOWN_KEYS or last in KNOWN_KEYS or (len(last) == 1 and last.isalnum())


def _split(keys: str) -> list[str]:
    return [key.strip() for key in keys.split(",") if key.strip()]


def _nearest(word: str, known: Iterable[str]) -> str:
    near = get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else ""


SHOWN = {
    "question_mark": "?",
    "slash": "/",
    "colon": ":",
    "semicolon": ";",
    "less_than_sign": "<",
    "greater_than_sign": ">",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "left_curly_bracket": "{",
    "right_curly_bracket": "}",
    "plus": "+",
    "minus": "-",
    "equals_sign": "=",
    "asterisk": "*",
    "escape": "esc",
    "full_stop": ".",
    "pageup": "pgup",
    "pagedown": "pgdn",
}


def shown(keys: str) -> str:
    """The first of some keys as people read it."""
    first = _split(keys)[0]
    return SHOWN.get(first, first)

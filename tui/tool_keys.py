"""The keys of errors, nodes, events, logs of all, compare, compose, profiles and replay: see `tui/bindings.py`."""

from tui.key import Key

TOOL_KEYS = (
    # lists: errors, nodes, a node, events, profiles
    Key("list.sort", "O", "sort", "sort", "Sort by the next column", 33),
    Key("list.save", "s", "save", "save", "Save the list as CSV", 34),
    Key("list.save-json", "ctrl+s", "save_json", "save JSON", "Save the list as JSON"),
    Key("list.copy", "y", "copy", "copy", "Copy what is under the cursor", 32),
    Key("list.menu", "a", "app.command_palette", "actions", "All that can be done here"),
    # failure groups
    Key("errors.log", "l", "log", "sample log", "The log of one partition of the group", 2),
    Key("errors.retry", "r", "retry", "retry group", "Retry the partitions of the group", 3, acts=True),
    Key("errors.logs", "L", "app.open_tool('logs')", "all logs", "Logs of all partitions of the job", 10),
    Key("errors.events", "v", "app.open_tool('events')", "events", "What happened to the job", 11),
    # nodes
    Key("nodes.drain", "D", "drain", "drain", "Drain the node, or take it in again", 2, acts=True, role="admin"),
    Key("node.log", "l", "log", "log", "The log of the partition under the cursor", 2),
    Key("node.drain", "D", "drain", "drain", "Drain the node, or take it in again", 3, acts=True, role="admin"),
    Key("node.grid", "t", "grid", "grid", "The job's grid, filtered to this node", 4),
    # events
    Key("events.follow", "f", "follow", "follow", "Stay at the newest", 2),
    Key("events.trouble", "e", "trouble", "errors only", "Only what went wrong, and back", 3),
    # what was found
    Key("find.log", "l", "log", "log", "The log of the partition", 2),
    # profiles
    Key("profiles.new", "n", "new", "new", "Add a profile", 3),
    # logs of all
    Key("logs.pick", "P", "pick", "partitions", "Which partitions, by a selection", 2),
    Key("logs.follow", "f", "follow", "follow", "Stay at the end as it grows", 1),
    Key("logs.next", "n", "match(1)", "match", "The next match", 3),
    Key("logs.previous", "N", "match(-1)", "previous match", "The previous match"),
    Key("logs.streams", "e", "streams", "streams", "stdout, stderr, or both", 10),
    Key("logs.grep", "F", "grep", "filter lines", "Show only lines that match", 4),
    Key("logs.wrap", "w", "wrap", "wrap", "Wrap long lines", 7),
    Key("logs.times", "t", "times", "times", "Times: absolute, relative, off", 8),
    Key("logs.save", "s", "save", "save", "Save what is shown as a file", 6),
    Key("logs.copy", "y", "copy", "copy line", "Copy the line at the cursor"),
    Key("logs.pager", "o", "pager", "$PAGER", "Open what is shown in $PAGER", 13),
    Key("logs.menu", "a", "app.command_palette", "actions", "All that can be done here"),
    # comparing two attempts
    Key("compare.next", "n", "difference(1)", "difference", "The next difference", 1),
    Key("compare.previous", "N", "difference(-1)", "previous difference", "The previous difference"),
    Key("compare.sides", "w", "sides", "side by side", "Side by side, or one below the other", 2),
    Key("compare.swap", "m", "swap", "swap", "Swap A and B", 3),
    Key("compare.save", "s", "save", "save", "Save the comparison as a file", 5),
    Key("compare.copy", "y", "copy", "copy", "Copy the comparison", 6),
    Key("compare.log", "l", "log", "log of B", "The log of B", 4),
    # replay: these win over what the same keys mean elsewhere
    Key("replay.play", "space", "app.replay_play", "play/pause", "Play, or stand still", 60),
    Key("replay.earlier", "less_than_sign", "app.replay_step(-1)", "step back", "To the change before", 62),
    Key("replay.later", "greater_than_sign", "app.replay_step(1)", "step", "To the next change", 61),
    Key("replay.minute-back", "left_curly_bracket", "app.replay_skip(-60)", "minute back", "A minute back"),
    Key("replay.minute", "right_curly_bracket", "app.replay_skip(60)", "minute", "A minute on"),
    # choosing
    Key("chooser.close", "escape,q", "close", "close", "Choose nothing", 2),
    # composing a job: in fields of text only these act
    Key("compose.flip", "f2", "flip", "form/YAML", "The form, or the YAML of the same job", 1),
    Key("compose.templates", "f3", "templates", "templates", "Begin with a template, or a draft", 2),
    Key("compose.plan", "f4", "plan", "plan", "What submitting it would do; submit from there", 3),
    Key("compose.save-file", "ctrl+s", "save_file", "save file", "Write the job as a YAML file", 5),
    Key("compose.editor", "ctrl+o", "editor", "$EDITOR", "Edit the YAML in $EDITOR", 6),
    Key("compose.copy-yaml", "f5", "copy_yaml", "copy YAML", "Copy the job as YAML", 7),
    Key("compose.copy-command", "f6", "copy_command", "copy CLI", "Copy the command that submits it", 8),
    Key("compose.up", "up,left", "app.focus_previous", "up", "The field above"),
    Key("compose.down", "down,right", "app.focus_next", "down", "The field below"),
)
TOOL_TOGETHER = (
    ("app", "page", "move", "list", "errors"),
    ("app", "page", "move", "list", "nodes"),
    ("app", "page", "move", "list", "node"),
    ("app", "page", "move", "list", "events"),
    ("app", "page", "move", "list", "profiles"),
    ("app", "page", "move", "list", "find"),
    ("app", "page", "compose"),
    ("app", "page", "text", "logs"),
    ("app", "page", "move", "compare"),
    ("move", "chooser"),
    ("app", "replay"),
)
TOOL_SHADOWS: tuple[tuple[str, str], ...] = ()
"""Pairs that share a key on purpose: the second one is what happens."""
TOOL_AHEAD = frozenset(key.id for key in TOOL_KEYS if key.context == "replay")
"""Keys that count before those of the screen."""

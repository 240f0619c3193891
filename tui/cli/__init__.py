"""The headless CLI: stdout is data, stderr is talk. Never imports textual."""

"""The headless commands. Nothing here imports textual."""

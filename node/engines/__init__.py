"""What runs a task: one module an engine; `base` says what an engine promises."""

"""Input sources: what puts data where an execution sees it."""

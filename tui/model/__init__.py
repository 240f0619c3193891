"""What the screens show, as flat arrays and plain functions: no terminal, no network."""

"""Where a cluster is kept: `base` says what a store promises."""

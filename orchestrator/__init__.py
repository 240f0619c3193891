"""The orchestrator: the one owner of a cluster's state. See README.md in this folder."""

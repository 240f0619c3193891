"""The node agent: runs executions on one machine. See README.md in this folder."""

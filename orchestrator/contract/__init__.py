"""What crosses processes: the one set of models that orchestrator, node and clients share.

Imports the standard library and msgspec only, so that a node or a client can use it without the orchestrator.
"""

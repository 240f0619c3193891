"""Judgement: what a cluster should do next. Pure: no I/O, no await, no clock, no randomness, no logging."""

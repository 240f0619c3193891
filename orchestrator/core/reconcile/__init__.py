"""Wanted against seen, one module a job type: what is missing, what is too much, whether the job has ended."""

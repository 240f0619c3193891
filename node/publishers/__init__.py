"""Publishers: what keeps the results of an execution."""

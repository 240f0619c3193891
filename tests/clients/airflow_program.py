"""What an Airflow user's `PythonOperator` calls, with Bacalhau's SDK: submit, poll until the end, hand on the results.

Run with the interpreter that `tests/tools/clients.sh` names. The first argument is the script of the job, the second how many
partitions. Airflow itself is only a call with a context, whose task instance keeps what is pushed: here it is printed as JSON.
"""

import json
import sys
import time

import bacalhau_apiclient as api
from bacalhau_sdk.jobs import Jobs

FINAL = ("Completed", "Failed", "Stopped")


class JobFailedError(Exception):
    """The task has to fail."""


def execute(context, script, count):
    """The callable of the task; what it returns is its XCom."""
    jobs = Jobs()
    engine = {"type": "process", "params": {"Command": "sh", "Arguments": ["-c", script]}}
    task = {"Name": "main", "Engine": engine, "Publisher": {"type": "local", "params": {}}}
    task["ResultPaths"] = [{"Name": "out", "Path": "/out"}]
    job = api.Job(name=context["run_id"], type="batch", count=count, tasks=[task])
    job_id = jobs.put(api.ApiPutJobRequest(job=job)).job_id
    context["ti"].xcom_push(key="bacalhau_job_id", value=job_id)
    for _ in range(300):
        state = jobs.get(job_id).job.state
        if state.state_type in FINAL:
            break
        time.sleep(0.1)
    if state.state_type != "Completed":
        raise JobFailedError(f"{state.state_type}: {state.message}")
    context["ti"].xcom_push(key="results", value=[one.params["URL"] for one in jobs.results(job_id).items])
    return job_id


class TaskInstance:
    """Keeps what is pushed."""

    def __init__(self):
        self.pushed = {}

    def xcom_push(self, key, value):
        self.pushed[key] = value


def main():
    instance = TaskInstance()
    got = {"returned": None, "failed": ""}
    try:
        got["returned"] = execute({"ti": instance, "run_id": sys.argv[3]}, sys.argv[1], int(sys.argv[2]))
    except JobFailedError as error:
        got["failed"] = str(error)
    json.dump({**got, "pushed": instance.pushed}, sys.stdout)


main()

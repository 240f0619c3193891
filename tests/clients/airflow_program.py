"""A user's DAG of Bacalhau's Airflow operator, run by Airflow, and what its SDK then tells. Prints what came of it, as JSON.

Run with the interpreter that `tests/tools/clients.sh airflow` names; BACALHAU_API_HOST and BACALHAU_API_PORT say where.
"""

import json
import sys
import time
from datetime import UTC, datetime

from airflow import DAG
from airflow.utils import db
from bacalhau_airflow.hooks import BacalhauHook
from bacalhau_airflow.operators import BacalhauSubmitJobOperator
from bacalhau_apiclient.rest import ApiException
from bacalhau_sdk import api

IMAGE = "busybox"


def spec(*command, concurrency=1, **fields):
    docker = {"image": IMAGE, "entrypoint": list(command)}
    deal = {"concurrency": concurrency, "confidence": 0, "min_bids": 0}
    return {"engine": "Docker", "verifier": "Noop", "publisher": "Local", "docker": docker, "deal": deal} | fields


def cids(task_id):
    return f"{{{{ task_instance.xcom_pull(task_ids='{task_id}', key='cids') }}}}"


with DAG("pipeline", schedule=None, start_date=datetime(2023, 3, 1, tzinfo=UTC)) as dag:

    def task(name, job_spec, volumes=()):
        return BacalhauSubmitJobOperator(
            task_id=name, api_version="V1beta1", job_spec=job_spec, input_volumes=list(volumes)
        )

    hello = task("hello", spec("echo", "Hello World"))
    again = task("again", spec("cat", "/before/stdout"), [cids("hello") + ":/before"])
    out = [{"name": "out", "path": "/out"}]
    write = "echo part $BACALHAU_PARTITION_INDEX of $BACALHAU_PARTITION_COUNT > /out/part"
    parts = task("parts", spec("sh", "-c", write, concurrency=3, outputs=out, annotations=["parts"], publisher="IPFS"))
    gather = task(
        "gather",
        spec("sh", "-c", "cat /parts/*/out/part"),
        [cids("parts") + ":/parts"],
    )
    broken = task("broken", spec("sh", "-c", "echo the station is away >&2; exit 7"))
    refused = task("refused", spec("true", publisher="Estuary"))
    hello >> again
    parts >> gather


def refusal(call, *arguments):
    try:
        call(*arguments)
    except ApiException as error:
        return [error.status, json.loads(error.body)["Message"]]
    return [200, ""]


def until(condition):
    for _ in range(300):
        if condition():
            return
        time.sleep(0.1)
    raise SystemExit("it did not come to pass")


def main():
    db.initdb()
    run = dag.test()
    got = {"run": str(run.state), "tasks": {}}
    for instance in run.get_task_instances():
        told = {key: instance.xcom_pull(task_ids=instance.task_id, key=key) for key in ("bacalhau_job_id", "cids")}
        got["tasks"][instance.task_id] = {"state": str(instance.state), **told}
    ids = {name: one["bacalhau_job_id"] for name, one in got["tasks"].items()}
    hook = BacalhauHook()
    again_state = api.states(ids["again"]).state.to_dict()
    got["described"] = [again_state["state"], [one["run_output"]["stdout"] for one in again_state["executions"]]]
    gathered = api.states(ids["gather"]).state.to_dict()
    got["gathered"] = gathered["executions"][0]["run_output"]["stdout"]
    failed = api.states(ids["broken"]).state.to_dict()
    last = failed["executions"][-1]
    got["failed"] = [failed["state"], last["state"], last["run_output"]["exit_code"], last["run_output"]["stderr"]]
    got["events"] = [
        [one["job_state"]["previous"], one["job_state"]["new"]]
        for one in hook.get_events(ids["hello"])["events"]
        if one["type"] == "JobLevel"
    ]
    got["listed"] = [[one.job.metadata.id, one.state.state] for one in api.list().jobs]
    got["fetched"] = [one["data"]["url"] for one in hook.get_results(ids["parts"])]

    endless = hook.submit_job("V1beta1", spec("sleep", "600"))
    until(lambda: [one.state for one in api.states(endless).state.executions] == ["BidAccepted"])
    got["stopped"] = api.cancel(endless).state.state
    until(lambda: api.states(endless).state.executions[0].state == "Cancelled")
    got["told"] = hook.get_events(endless)["events"][-1]["job_state"]
    strange = {"storagesource": "ipfs", "cid": "QmNobody", "path": "/in"}
    got["refusals"] = {
        "cid": refusal(hook.submit_job, "V1beta1", spec("true", inputs=[strange])),
        "publisher": refusal(hook.submit_job, "V1beta1", spec("true", publisher="Estuary")),
        "memory": refusal(hook.submit_job, "V1beta1", spec("true", resources={"memory": "much"})),
        "unknown": refusal(api.cancel, "j-none"),
    }
    json.dump(got, sys.stdout)


main()

"""A user's program against Bacalhau's Python SDK and apiclient, which nobody here wrote. Prints what it got, as JSON.

Run with the interpreter that `tests/tools/clients.sh` names; BACALHAU_API_HOST and BACALHAU_API_PORT say where.
"""

import json
import sys
import time

import bacalhau_apiclient as api
from bacalhau_apiclient.rest import ApiException
from bacalhau_sdk.config import init_config
from bacalhau_sdk.jobs import Jobs

FINAL = ("Completed", "Failed", "Stopped")


def spec(name, script, count=1, publisher=None):
    engine = {"type": "process", "params": {"Command": "sh", "Arguments": ["-c", script]}}
    task = {"Name": "main", "Engine": engine, "Publisher": publisher or {"type": "", "params": {}}}
    if publisher:
        task["ResultPaths"] = [{"Name": "out", "Path": "/out"}]
    return api.Job(name=name, type="batch", count=count, tasks=[task])


def until(jobs, job_id, states):
    for _ in range(300):
        job = jobs.get(job_id).job
        if job.state.state_type in states:
            return job
        time.sleep(0.1)
    raise SystemExit(f"job {job_id} is still {job.state.state_type}")


def failure(call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except ApiException as error:
        return error.status
    return 200


def main():
    got = {}
    jobs = Jobs()
    raw = api.OrchestratorApi(api.ApiClient(init_config()))
    put = jobs.put(api.ApiPutJobRequest(job=spec("sdk", "echo part $BACALHAU_PARTITION_INDEX", 3, {"type": "local"})))
    got["put"] = [put.job_id, put.evaluation_id, put.warnings]
    job = until(jobs, put.job_id, FINAL)
    got["job"] = [job.id, job.name, job.type, job.count, job.version, job.state.state_type, job.tasks[0].engine.type]
    with_executions = jobs.get(put.job_id, include="executions", limit=5)
    got["get"] = [one.compute_state.state_type for one in with_executions.executions.items]
    got["list"] = [one.id for one in jobs.list().items]
    executions = jobs.executions(put.job_id, limit=2).items
    got["executions"] = [[one.id, one.desired_state.state_type, one.run_output.stdout] for one in executions]
    got["history"] = [[one.type, one.event.topic] for one in jobs.history(put.job_id).items]
    got["results"] = [one.params["URL"] for one in jobs.results(put.job_id).items]

    slow = jobs.put(api.ApiPutJobRequest(job=spec("slow", "sleep 60")))
    until(jobs, slow.job_id, ("Running",))
    got["stop"] = jobs.stop(slow.job_id, reason="no more of it").evaluation_id
    got["stopped"] = [until(jobs, slow.job_id, FINAL).state.state_type, jobs.get(slow.job_id).job.state.message]
    got["stop-again"] = failure(raw.orchestratorstop_job, put.job_id)
    got["unknown"] = failure(raw.orchestratorget_job, "j-00000000")
    got["refused"] = failure(raw.orchestratorput_job, api.ApiPutJobRequest(job=api.Job(type="batch", tasks=[])))

    nodes = raw.orchestratorlist_nodes(limit=3, filter_approval="approved", filter_status="connected").nodes
    got["nodes"] = [[one.info.node_id, one.info.node_type, one.membership] for one in nodes]
    got["node"] = raw.orchestratorget_node(nodes[0].info.node_id).node.info.node_id
    got["update"] = failure(raw.orchestratorupdate_node, {"action": "approve", "nodeID": "x"}, "x")
    got["logs"] = failure(raw.orchestratorlogs, put.job_id)
    ops = api.OpsApi(raw.api_client)
    got["alive"] = ops.agentalive()
    got["agent"] = failure(ops.agentnode)
    got["debug"] = failure(ops.agentdebug)
    json.dump(got, sys.stdout, default=lambda model: model.to_dict())


main()

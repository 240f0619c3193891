"""Which input objects the attempts of a partition had, as their nodes reported them with the end."""

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from orchestrator.contract.partitions import AttemptInputs, InputFile, PartitionInputs
from orchestrator.core.model import ExecutionRecord, InputsRecord
from orchestrator.routes.backend import Backend
from orchestrator.routes.partitions import attempts_of
from orchestrator.routes.reasons import ReasonQuery
from orchestrator.routes.wire import HttpRequest, answer, query


@get("/api/v1/orchestrator/jobs/{job_id:str}/partitions/{index:int}/inputs", answer=PartitionInputs)
async def get_inputs(
    request: HttpRequest, job_id: FromPath[str], index: FromPath[int], backend: NamedDependency[Backend]
) -> Response[bytes]:
    """What each attempt of a partition had as inputs, oldest first."""
    entry = await backend.reactor.entry(job_id, query(request.query_params, ReasonQuery).namespace)
    attempts = await attempts_of(backend, entry, index)
    found = await backend.reactor.store.inputs([attempt.id for attempt in attempts])
    known = {record.execution_id: record for record in found}
    items = tuple(inputs_of(attempt, known.get(attempt.id)) for attempt in attempts)
    return await answer(request, PartitionInputs(next_token="", items=items))


def inputs_of(attempt: ExecutionRecord, record: InputsRecord | None) -> AttemptInputs:
    """One attempt's inputs."""
    if record is None:
        return AttemptInputs(attempt=attempt.attempt, execution_id=attempt.id, is_known=False)
    inputs = record.inputs
    return AttemptInputs(
        attempt=attempt.attempt,
        execution_id=attempt.id,
        is_known=True,
        items=tuple(InputFile(name=one.name, size=one.size) for one in inputs.objects),
        rest=inputs.rest,
        rest_size=inputs.rest_size,
        is_more=inputs.is_more,
    )

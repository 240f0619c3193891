"""A job's specification as YAML: what was submitted, without what the server sets."""

from typing import TYPE_CHECKING

import msgspec
import yaml

from orchestrator.client import NOT_SUBMITTED, ClientError
from orchestrator.contract.job import Job

if TYPE_CHECKING:
    from tui.app import ShoalApp


def spec_text(job: Job) -> str:
    """The YAML of a job file that would submit the same job."""
    plain = msgspec.to_builtins(job)
    for key in NOT_SUBMITTED:
        plain.pop(key, None)
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)


async def copy_spec(app: "ShoalApp", job_id: str) -> None:
    """Put it on the clipboard; what goes wrong is told."""
    try:
        answer = await app.client.job(job_id)
    except ClientError as error:
        app.tell(error.message, severity="error")
    else:
        app.copy(spec_text(answer.job), "job spec")

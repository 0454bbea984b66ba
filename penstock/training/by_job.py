"""Training on a Ray cluster that this machine is no node of: a job of Ray's Jobs API, `http://HEAD:8265`.

The job's entrypoint is this module. It runs on a node, does what a Ray task does (on_ray.py), and prints its messages;
the code of the project is uploaded, the engine and its packages are those of the nodes.
"""

import base64
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from penstock.errors import PenstockError
from penstock.serving.deploying.code_copy import Code
from penstock.settings import PROJECT
from penstock.training.candidate import Candidate, Job, Say
from penstock.training.on_ray import Failure, Progress, Result, candidate_of, failed, messages_of, threads_of

MARK = "penstock-message "
LOOK_SECONDS = 0.5
OPTIONS = {
    "num_cpus": "entrypoint_num_cpus",
    "num_gpus": "entrypoint_num_gpus",
    "memory": "entrypoint_memory",
    "resources": "entrypoint_resources",
}
"""What a model's ray_options may ask for -> the argument of Ray's Jobs API."""
Message = Progress | Failure | Result


def train_by_job(url: str, code: Code, job: Job, options: Mapping[str, Any], say: Say) -> Candidate:
    """The candidate of the job, trained with this code by a Ray job on the cluster of a dashboard's URL.

    PenstockError in the job's own words if it fails, and for a cluster that cannot be reached.
    """
    return candidate_of(job, _messages(url, code, job, options), say)


def _messages(url: str, code: Code, job: Job, options: Mapping[str, Any]) -> Iterator[Message]:
    asked = {"num_cpus": 1} | dict(options)
    if unknown := asked.keys() - OPTIONS.keys():
        known = ", ".join(OPTIONS)
        raise PenstockError(f"ray_options of {job.model}", expected=f"for a job: {known}", found=", ".join(unknown))
    client = _client(url)
    text = base64.urlsafe_b64encode(msgspec.json.encode(job)).decode()
    name = client.submit_job(
        entrypoint=f"python -m penstock.training.by_job {text} {threads_of(asked)}",
        runtime_env={"working_dir": code.folder, "env_vars": {PROJECT: "."}},
        **{OPTIONS[option]: value for option, value in asked.items()},
    )
    read = 0
    try:
        while True:
            ended = client.get_job_status(name).is_terminal()
            lines = client.get_job_logs(name).splitlines()[: None if ended else -1]
            for line in lines[read:]:
                if line.startswith(MARK):
                    yield msgspec.json.decode(line.removeprefix(MARK), type=Message)
            read = max(read, len(lines))
            if ended:
                raise failed(job.model, client.get_job_info(name).message or "\n".join(lines[-5:]))
            time.sleep(LOOK_SECONDS)
    finally:
        if not client.get_job_status(name).is_terminal():
            client.stop_job(name)


def _client(url: str) -> Any:
    from ray.job_submission import JobSubmissionClient

    try:
        return JobSubmissionClient(url)
    except (OSError, RuntimeError, ValueError) as error:
        raise PenstockError(
            "PENSTOCK_RAY_ADDRESS",
            expected="the dashboard of a Ray cluster that answers",
            found=f"{url}: {str(error).strip()[:300]}",
            todo="Is its --dashboard-host open to this machine?",
        ) from error


def main() -> None:
    """Train what the first argument says, with as many threads as the second, on a node, and print the messages."""
    job = base64.urlsafe_b64decode(sys.argv[1])
    for message in messages_of(job, threads=int(sys.argv[2])):
        print(f"{MARK}{message.decode()}", flush=True)


if __name__ == "__main__":
    main()

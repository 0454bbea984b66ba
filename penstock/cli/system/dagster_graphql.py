"""Queries to Dagster's webserver, over the GraphQL interface that its UI uses."""

import http.client
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any

import msgspec

from penstock.errors import PenstockError

REPOSITORY = "__repository__"
STILL_LOADING = "still loading"

LOCATIONS = """{ workspaceOrError { ... on Workspace { locationEntries { name loadStatus
    locationOrLoadError { __typename ... on PythonError { message causes { message } } } } }
    ... on PythonError { message } } }"""
UNDER_WAY = """{ runsOrError(filter: {statuses: [QUEUED, NOT_STARTED, STARTING, STARTED, CANCELING]}) {
    ... on Runs { results { runId } } } }"""
LAUNCHED = """query($filter: RunsFilter!) { runsOrError(filter: $filter) { ... on Runs { results {
    runId assetSelection { path } repositoryOrigin { repositoryLocationName } } } ... on Error { message } } }"""
DAEMONS = "{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } } }"
RELOAD = """mutation($location: String!) { reloadRepositoryLocation(repositoryLocationName: $location) { __typename
    ... on Error { message } } }"""
PARTITIONS = """query($selector: PipelineSelector!) { pipelineOrError(params: $selector) { __typename
    ... on Pipeline { partitionKeysOrError { partitionKeys } } ... on Error { message } } }"""
LAUNCH = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) { __typename
    ... on LaunchRunSuccess { run { runId } } ... on Error { message }
    ... on RunConfigValidationInvalid { errors { message } } } }"""
PLAN = """query($run: ID!) { runOrError(runId: $run) { ... on Run { executionPlan { steps { key } } } } }"""
RUN = """query($run: ID!, $after: String) {
  runOrError(runId: $run) { ... on Run { status } ... on Error { message } }
  logsForRun(runId: $run, afterCursor: $after) { ... on EventConnection { cursor hasMore events { __typename
    ... on MessageEvent { message stepKey }
    ... on ExecutionStepFailureEvent { error { ...cause } }
    ... on RunFailureEvent { error { ...cause } }
    ... on EngineEvent { error { ...cause } }
  } } }
}
fragment cause on PythonError { message className causes { message className } }"""


class DagsterError(PenstockError):
    """Dagster refuses what was asked of it."""


class GraphQL:
    """One webserver by its URL, asked about one of its code locations."""

    def __init__(self, url: str, location: str) -> None:
        self.url = url
        self.location = location

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The `data` of an answer; DagsterError with the webserver's words if it refuses."""
        body = msgspec.json.encode({"query": query, "variables": variables})
        request = urllib.request.Request(  # noqa: S310
            f"{self.url}/graphql", body, {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
                answer = msgspec.json.decode(response.read())
        except urllib.error.HTTPError as error:
            raise DagsterError("Dagster's webserver", found=error.read().decode(errors="replace")[:1000]) from error
        except (OSError, http.client.HTTPException) as error:
            found = str(error) if isinstance(error, OSError) else "an answer that is no webserver's"
            raise DagsterError(
                f"Dagster's webserver at {self.url}", found=found, todo="See `penstock status`."
            ) from error
        if answer.get("errors"):
            raise DagsterError("Dagster's webserver", found=str(answer["errors"][0]["message"]))
        return dict(answer["data"])

    def answers(self) -> bool:
        """Whether the webserver answers at all."""
        try:
            with urllib.request.urlopen(f"{self.url}/server_info", timeout=2) as response:  # noqa: S310
                return bool(response.status == 200)
        except (OSError, http.client.HTTPException):  # such as what another program answers
            return False

    def load_error(self) -> str | None:
        """Why the code location is not loaded (yet), else None."""
        workspace = self.ask(LOCATIONS)["workspaceOrError"]
        entries = workspace.get("locationEntries") or []
        for entry in entries:
            if entry["name"] != self.location:
                continue
            found = entry["locationOrLoadError"]
            if found and found["__typename"] == "PythonError":
                innermost = (found.get("causes") or [found])[-1]
                return str(innermost["message"]).strip()
            if entry["loadStatus"] == "LOADED" and found:
                return None
        if entries and self.location not in [entry["name"] for entry in entries]:
            return f"workspace.yaml has no code location {self.location!r}, which is the project's name"
        return str(workspace.get("message") or STILL_LOADING)

    def reload(self) -> None:
        """Let the code server read the project's files again; `load_error` says what it found."""
        found = self.ask(RELOAD, location=self.location)["reloadRepositoryLocation"]
        if "message" in found:
            raise DagsterError(f"code location {self.location!r}", expected="to be read again", found=found["message"])

    def under_way(self) -> int:
        """How many runs have not ended, of every code location of this instance."""
        return len(self.ask(UNDER_WAY)["runsOrError"].get("results") or [])

    def daemon_healthy(self) -> bool:
        """Whether every daemon that this instance needs has beaten lately."""
        statuses = self.ask(DAEMONS)["instance"]["daemonHealth"]["allDaemonStatuses"]
        return all(status["healthy"] for status in statuses if status["required"])

    def partitions(self, job: str) -> list[str]:
        """The partition keys of a job, oldest first; empty for a job without partitions."""
        selector = {"repositoryLocationName": self.location, "repositoryName": REPOSITORY, "pipelineName": job}
        found = self.ask(PARTITIONS, selector=selector)["pipelineOrError"]
        if found["__typename"] != "Pipeline":
            raise DagsterError(f"Dagster job {job!r}", found=found["message"])
        return list(found["partitionKeysOrError"]["partitionKeys"])

    def launched(self, job: str, partition: str = "", assets: Sequence[str] = ()) -> str:
        """The id of the newest run of these that waits or runs, as `launch` has made it; empty if there is none."""
        own = {"key": "dagster/partition", "value": partition}
        statuses = ["QUEUED", "NOT_STARTED", "STARTING", "STARTED"]
        wanted = {"pipelineName": job, "statuses": statuses, "tags": [own] if partition else []}
        for run in self.ask(LAUNCHED, filter=wanted)["runsOrError"].get("results") or []:
            of = (run["repositoryOrigin"] or {}).get("repositoryLocationName")
            selected = {"/".join(asset["path"]) for asset in run["assetSelection"] or ()}
            if of == self.location and selected == set(assets):
                return str(run["runId"])
        return ""

    def launch(
        self, job: str, partition: str = "", assets: Sequence[str] = (), checks: Sequence[tuple[str, str]] = ()
    ) -> str:
        """Launch a run as a click in the UI does, and return its id. `assets` and `checks`: only these of the job."""
        tags = {"penstock/started_by": "penstock up"} | ({"dagster/partition": partition} if partition else {})
        selector: dict[str, Any] = {
            "repositoryLocationName": self.location,
            "repositoryName": REPOSITORY,
            "jobName": job,
        }
        if assets:
            selector["assetSelection"] = [{"path": asset.split("/")} for asset in assets]
            selector["assetCheckSelection"] = [
                {"assetKey": {"path": asset.split("/")}, "name": name} for asset, name in checks
            ]
        params = {
            "selector": selector,
            "runConfigData": {},
            "mode": "default",
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in tags.items()]},
        }
        found = self.ask(LAUNCH, params=params)["launchRun"]
        if found["__typename"] != "LaunchRunSuccess":
            reasons = found.get("message") or "; ".join(e["message"] for e in found.get("errors", []))
            raise DagsterError(f"Dagster job {job!r}", found=reasons or found["__typename"])
        return str(found["run"]["runId"])

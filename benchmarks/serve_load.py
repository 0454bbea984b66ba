"""Load on a target by wrk, and what it cost: rates, latencies, CPU and memory of all processes together."""

import subprocess
import time
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import msgspec

from benchmarks.serve_targets import Target
from resources.processes import memory

MOMENT = "2026-11-22T11:{:02d}:{:02d}.{:06d}Z"

# Each request is one of the real ones with an instant of its own, so that none is an unchanged question.
SCRIPT = """
local requests = {}
for line in io.lines("%s") do requests[#requests + 1] = line end
local clock = io.open("/proc/uptime"):read("*n")
local n = math.floor(clock * 100) %% 1000 * 3000000
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
request = function()
  n = n + 1
  local at = string.format('2026-11-22T11:%%02d:%%02d.%%06dZ', math.floor(n / 60000000) %% 60,
                           math.floor(n / 1000000) %% 60, n %% 1000000)
  return wrk.format(nil, wrk.path, nil, requests[n %% #requests + 1] .. ',"asked_at":"' .. at .. '"}')
end
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format('\\nJSON {"requests":%%d,"micros":%%d,"p50":%%f,"p99":%%f,"failed":%%d}\\n', summary.requests,
    summary.duration, latency:percentile(50), latency:percentile(99),
    e.status + e.connect + e.read + e.write + e.timeout))
end
"""


class Load(msgspec.Struct, frozen=True):
    """What one load showed. CPU is of all processes but wrk, in ms a request; `rows` are rows a second of arrays."""

    target: str
    connections: int
    rate: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    failed: int = 0
    service_cpu_ms: float = 0.0
    postgres_cpu_ms: float = 0.0
    pss_mb: float = 0.0
    rows: float = 0.0

    def line(self) -> str:
        """The figures as one line of a report."""
        if self.rows:
            return f"{self.target:<34} arrays of 1,000 requests {self.rows:>12,.0f} rows/s"
        cpu = self.service_cpu_ms + self.postgres_cpu_ms
        return (
            f"{self.target:<34} {self.connections:>3} connections {self.rate:>8,.0f} req/s"
            f"  p50 {self.p50_ms:>7.2f}  p99 {self.p99_ms:>7.2f} ms  CPU {cpu:>6.3f}"
            f" ms/req (Postgres {self.postgres_cpu_ms:.3f})  PSS {self.pss_mb:>5.0f} MB  non-2xx {self.failed}"
        )


class Counted(msgspec.Struct, frozen=True):
    """What wrk counted; p50 and p99 in microseconds."""

    requests: int
    micros: int
    p50: float
    p99: float
    failed: int


def write_script(folder: Path, requests: list[dict[str, Any]]) -> None:
    """The script that makes wrk send these requests."""
    lines = [msgspec.json.encode(request).decode()[:-1] for request in requests]
    (folder / "requests.txt").write_text("\n".join(lines) + "\n")
    (folder / "wrk.lua").write_text(SCRIPT % (folder / "requests.txt"))


def measure(target: Target, folder: Path, connections: int, seconds: float) -> Load:
    """Load a target for some seconds over some connections."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", str(folder / "wrk.lua")]
    before = target.cpu()
    done = subprocess.run([*command, target.url], check=True, capture_output=True, text=True)
    after = target.cpu()
    said = next(line for line in done.stdout.splitlines() if line.startswith("JSON "))
    counted = msgspec.json.decode(said[5:], type=Counted)
    service, database = ((b - a) * 1000 / max(1, counted.requests) for a, b in zip(before, after, strict=True))
    return Load(
        target.name,
        connections,
        counted.requests / counted.micros * 1e6,
        counted.p50 / 1000,
        counted.p99 / 1000,
        counted.failed,
        service,
        database,
        memory(target.processes()) / 1e6,
    )


def rows_per_second(target: Target, requests: list[dict[str, Any]], seconds: float) -> Load:
    """Rows a second of arrays of these requests, one after the other, by the median time of an array."""
    taken: list[float] = []
    end = time.monotonic() + seconds
    with httpx.Client(timeout=60) as client:
        while time.monotonic() < end or len(taken) < 3:
            moment = MOMENT.format(*divmod(len(taken) % 3600, 60), time.time_ns() // 1000 % 1_000_000)
            body = msgspec.json.encode([request | {"asked_at": moment} for request in requests])
            began = time.perf_counter()
            client.post(target.url, content=body, headers={"content-type": "application/json"}).raise_for_status()
            taken.append(time.perf_counter() - began)
    return Load(target.name, 1, rows=len(requests) / median(taken))

"""Load on a target by wrk, and what it cost: rates, latencies, CPU and memory of its processes."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import msgspec

from benchmarks.service.targets import Target

SCRIPT = Path(__file__).parent / "load.lua"
PATIENCE = "20s"


class Load(msgspec.Struct, frozen=True):
    """What one load showed. CPU in ms a request: of what answers, of Postgres, of what else the target runs."""

    target: str
    connections: int
    rate: float
    p50_ms: float
    p99_ms: float
    failed: int
    answering_cpu_ms: float
    postgres_cpu_ms: float
    other_cpu_ms: float
    pss_mb: float

    @property
    def cpu_ms(self) -> float:
        """CPU of a request over all processes that take part in its answer."""
        return self.answering_cpu_ms + self.postgres_cpu_ms

    def line(self) -> str:
        """The figures as one line of a report."""
        return (
            f"{self.target:<30} {self.connections:>3} connections {self.rate:>8,.0f} req/s  p50 {self.p50_ms:>8.2f}"
            f"  p99 {self.p99_ms:>8.2f} ms  CPU {self.cpu_ms:>7.3f} ms/req (Postgres {self.postgres_cpu_ms:.3f})"
            f"  PSS {self.pss_mb:>5.0f} MB  non-2xx {self.failed}"
        )


class LoadCount(msgspec.Struct, frozen=True):
    """What wrk counted; p50 and p99 in microseconds."""

    requests: int
    micros: int
    p50: float
    p99: float
    failed: int


def measure(target: Target, connections: int, seconds: float, bodies: Path | None = None) -> Load:
    """Load a target for some seconds over some connections, with its own or other bodies."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", PATIENCE]
    before = target.cpu()
    done = subprocess.run(
        [*command, "-s", SCRIPT, target.url, "--", bodies or target.bodies], check=False, capture_output=True, text=True
    )
    after = target.cpu()
    said = [line for line in done.stdout.splitlines() if line.startswith("JSON ")]
    if not said:
        raise RuntimeError(f"wrk on {target.name}: {done.stderr or done.stdout}")
    counted = msgspec.json.decode(said[0][5:], type=LoadCount)
    answering, database, other = ((b - a) * 1000 / max(1, counted.requests) for a, b in zip(before, after, strict=True))
    return Load(
        target.name,
        connections,
        counted.requests / counted.micros * 1e6,
        counted.p50 / 1000,
        counted.p99 / 1000,
        counted.failed,
        answering,
        database,
        other,
        target.memory() / 1e6,
    )


def middle(loads: Sequence[Load]) -> Load:
    """The median of each figure over the rounds; the failures of all."""
    figures = [name for name in Load.__struct_fields__ if name not in ("target", "connections", "failed")]
    values = {name: median(getattr(load, name) for load in loads) for name in figures}
    first = loads[0]
    return Load(first.target, first.connections, failed=sum(load.failed for load in loads), **values)

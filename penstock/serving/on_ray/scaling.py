"""An autoscaling policy beside Ray's own: by the latency of answers."""

from statistics import fmean
from typing import Any

from penstock.errors import PenstockError

LATENCY = "latency_ms"
"""What a replica reports for it: the mean of its last answers, 0 where it gave none."""


class ByLatency:
    """An autoscaling policy of Ray Serve: so many replicas that the mean latency of an answer is `target_ms`.

    serve_config.yaml names it as `policy_function`, and `target_ms` in `policy_kwargs`. It takes latency to grow with
    the requests that a replica has, which holds where replicas are what is short, and not where Postgres is.
    """

    def __init__(self, target_ms: float = 0.0) -> None:
        if not target_ms > 0:
            raise PenstockError(
                "policy ByLatency",
                expected="target_ms, the milliseconds of an answer: more than 0",
                found=repr(target_ms),
                todo="Write `policy_kwargs: {target_ms: 20}` beside policy_function.",
            )
        self._target = target_ms

    def __call__(self, context: Any) -> tuple[float, dict[str, Any]]:
        """How many replicas there should be, and nothing to remember. `context` is Ray's AutoscalingContext."""
        reported = (context.aggregated_metrics or {}).get(LATENCY) or {}
        busy = [latency for latency in reported.values() if latency > 0]
        if not busy:
            return context.capacity_adjusted_min_replicas, {}
        return context.current_num_replicas * fmean(busy) / self._target, {}

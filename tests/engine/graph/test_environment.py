"""The steps of one Dagster run share a training run; another Dagster run has its own."""

from pathlib import Path

import dagster as dg

from penstock.graph.environment import Environment
from penstock.training.run import TrainingRun
from tests.engine.training.tank_declarations import declared


def test_the_steps_of_a_dagster_run_share_the_training_run_of_a_month(an_hour_later: Path) -> None:
    model, seen = declared().model("overflow"), list[TrainingRun]()

    @dg.asset
    def first(environment: Environment) -> None:
        seen.append(environment.training_run(model, "2026-03", []))

    @dg.asset(deps=[first])
    def second(environment: Environment) -> None:
        seen.append(environment.training_run(model, "2026-03", []))
        seen.append(environment.training_run(model, "2026-04", []))

    resource = Environment()
    for _ in range(2):
        assert dg.materialize([first, second], resources={"environment": resource}).success

    assert [run.period for run in seen] == ["2026-03", "2026-03", "2026-04"] * 2
    assert seen[0] is seen[1]
    assert seen[3] is seen[4]
    assert seen[0] is not seen[3]
    assert seen[0].settings.home == an_hour_later

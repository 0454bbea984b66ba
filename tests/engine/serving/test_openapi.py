"""The service keeps to its own OpenAPI document, whatever is sent."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine.serving.conftest import Service

# JSON Schema cannot say all that a calendar can: a well-formed 30th of February is a 422.
CHECKS = {"positive_data_acceptance": {"expected-statuses": ["200", "404", "422"]}}
EXAMPLES = 500
"""Of each operation; one without parameters has a single one."""


@pytest.mark.slow
def test_every_answer_to_every_operation_is_as_documented(shared: Service) -> None:
    import schemathesis
    from schemathesis import GenerationMode
    from schemathesis.config import SchemathesisConfig

    config = SchemathesisConfig.from_dict({"checks": CHECKS})
    described = schemathesis.openapi.from_url(f"{shared.http.base_url}/openapi.json", config=config)
    statuses: dict[str, set[int]] = {}
    for found in described.get_all_operations():
        operation: Any = found.ok()
        strategies = [operation.as_strategy(generation_mode=GenerationMode.POSITIVE)]
        if operation.body or operation.path_parameters:
            strategies.append(operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
        statuses[operation.label] = set()

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=st.one_of(strategies))
        def answers(case: Any) -> None:
            statuses[case.operation.label].add(case.call_and_validate(timeout=10).status_code)

        answers()
    assert len(statuses) >= 7
    assert statuses["POST /models/overflow/predict"] >= {200, 422}, "both good and bad requests were tried"

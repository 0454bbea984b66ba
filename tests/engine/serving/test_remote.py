"""A cluster of others that is not there, or is named wrongly, is one sentence."""

import pytest

from penstock.errors import PenstockError
from penstock.processes import free_port
from penstock.serving.deploying.deploy import Elsewhere
from penstock.serving.on_ray.remote import Remote


@pytest.mark.parametrize("url", ["10.0.0.11:6379", "ray://10.0.0.11:10001", "http://"])
def test_an_address_that_is_no_url_of_a_dashboard_is_refused_with_what_to_write(url: str) -> None:
    with pytest.raises(PenstockError, match="http://HEAD:8265") as refused:
        Elsewhere(url)
    assert url in str(refused.value)


def test_a_dashboard_that_does_not_answer_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(PenstockError, match="dashboard-host") as refused:
        Remote(url)
    assert url in str(refused.value)
    assert "RAY_AUTH_TOKEN" in str(refused.value)

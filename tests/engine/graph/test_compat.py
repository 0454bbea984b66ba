"""A load error is shown without its frames, and with them where Dagster has moved its private names."""

from inspect import signature

import dagster as dg
import pytest

from penstock.errors import PenstockError
from penstock.graph import compat
from penstock.graph.code_location import one_sentence
from penstock.graph.code_server import PING, RELOAD


def test_dagsters_private_names_are_there() -> None:
    shown = compat.error_without_frames(PenstockError("the river", found="dry"))
    assert type(shown).__name__ == "DagsterUserCodeProcessError", "dagster has moved it"
    assert "the river: found dry" in str(shown)


@pytest.mark.parametrize("name", ["ERRORS", "INFO"])
def test_without_one_of_them_the_error_itself_is_raised(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compat, name, "dagster._moved")
    with pytest.raises(PenstockError, match="the river: found dry"), one_sentence():
        raise PenstockError("the river", found="dry")


def test_what_makes_a_pool_is_there() -> None:
    assert {"concurrency_key", "limit", "using_default_limit"} <= set(compat._limits().c.keys()), "dagster has moved it"
    assert list(signature(getattr(compat.EventLog, compat.SLOTS)).parameters) == [
        "self",
        "conn",
        "concurrency_key",
        "num",
    ]


@pytest.mark.usefixtures("instance_file")
@pytest.mark.parametrize("name", ["SCHEMA", "SLOTS"])
def test_without_one_of_them_a_pool_is_made_all_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compat, name, "dagster._moved")
    with dg.DagsterInstance.get() as instance:
        assert instance.event_log_storage.initialize_concurrency_limit_to_default("table/tides")
        assert [pool.name for pool in instance.event_log_storage.get_pool_limits()] == ["table/tides"]


def test_a_code_server_is_asked_by_names_that_dagster_has() -> None:
    from dagster._grpc.__generated__.dagster_api_pb2 import DESCRIPTOR, PingRequest, ReloadCodeRequest

    service = DESCRIPTOR.services_by_name["DagsterApi"]
    methods = {f"/{service.full_name}/{name}": method.input_type for name, method in service.methods_by_name.items()}
    for name, request in ((PING, PingRequest), (RELOAD, ReloadCodeRequest)):
        assert methods[name] is request.DESCRIPTOR
        assert request().SerializeToString() == b""

"""A load error is shown without its frames, and with them where Dagster has moved its private names."""

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


def test_a_code_server_is_asked_by_names_that_dagster_has() -> None:
    from dagster._grpc.__generated__.dagster_api_pb2 import DESCRIPTOR, PingRequest, ReloadCodeRequest

    service = DESCRIPTOR.services_by_name["DagsterApi"]
    methods = {f"/{service.full_name}/{name}": method.input_type for name, method in service.methods_by_name.items()}
    for name, request in ((PING, PingRequest), (RELOAD, ReloadCodeRequest)):
        assert methods[name] is request.DESCRIPTOR
        assert request().SerializeToString() == b""

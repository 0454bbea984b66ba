"""A run that fails because of its warehouse: no page of Dagster shows what is secret in the warehouse's URL."""

import json

import dagster as dg
import pytest

from penstock.graph import replication
from penstock.graph.environment import Environment
from tests.engine.publishing import declared

SECRET = "hunter2"
URLS = {
    "Postgres": f"postgresql://me:{SECRET}@127.0.0.1:1/none?sslpassword={SECRET}",
    "Redshift": f"redshift://me:{SECRET}@127.0.0.1:1/none?unload=s3://bucket/folder",
    "ClickHouse": f"clickhouse://me:{SECRET}@127.0.0.1:1/none",
    "ClickHouse by a token": f"clickhouses://127.0.0.1:1/none?access_token={SECRET}",
    "Snowflake": f"snowflake://me:{SECRET}@account/shop/public?host=127.0.0.1&port=1&login_timeout=1&token={SECRET}",
    "Trino": f"trino://me:{SECRET}@127.0.0.1:1/catalog/schema",
    "Databricks": f"databricks://token:{SECRET}@127.0.0.1?http_path=/sql&catalog=c",
    "BigQuery": f"bigquery://project/data?credentials_base64={SECRET}",
    "MotherDuck": f"duckdb:///md:shop?motherduck_token={SECRET}",
    "a kind that is none": f"mysql+pymysql://me:{SECRET}@host/db",
    "no URL": f"postgresql://me:pass@{SECRET}/x@127.0.0.1:1/none",
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", URLS)
def test_the_log_of_a_failed_run_tells_no_secret(
    kind: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PENSTOCK_WAREHOUSE_URL", URLS[kind])
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize(
            [replication.snapshot(declared())],
            instance=instance,
            resources={"environment": Environment()},
            raise_on_error=False,
        )
        events = [record.to_json() for record in instance.all_logs(done.run_id)]
    said = json.dumps(events) + "".join(capfd.readouterr())
    assert not done.success
    assert "STEP_FAILURE" in said
    assert "Failure" in said
    assert SECRET not in said
    assert SECRET not in said.replace("%", "")

"""The Grafana dashboard asks for metrics that the service gives."""

import json
import re

from conftest import Service

from resources.settings import ROOT


def test_every_metric_of_the_dashboard_exists(shared: Service) -> None:
    shared.ask()
    shared.ask(valve=100)
    given = set(re.findall(r"^(penstock_\w+?)(?:\{| )", shared.http.get("/metrics").text, re.M))
    dashboard = json.loads((ROOT / "deploy" / "grafana-dashboard.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    wanted = {name for expression in expressions for name in re.findall(r"penstock_\w+", expression)}
    assert len(wanted) >= 8
    assert wanted <= given, f"the service does not give {sorted(wanted - given)}"

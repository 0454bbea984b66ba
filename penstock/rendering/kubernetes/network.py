"""Who may reach whom: nothing, but for what is listed here."""

from collections.abc import Mapping, Sequence

from penstock.rendering.kubernetes import layout as names
from penstock.rendering.kubernetes.pipeline import CODE_SERVER, DAEMON, MIGRATION, RUN, WEBSERVER
from penstock.rendering.kubernetes.pods import NAMES, Manifest, labels, metadata
from penstock.rendering.kubernetes.ray_service import COMPONENT, HEAD

CLIENTS: Mapping[str, str] = {"penstock/clients": "allowed"}
"""The label of namespaces whose pods may ask for predictions, and open Dagster's page."""
MONITORING: Mapping[str, str] = {"penstock/monitoring": "allowed"}
"""The label of namespaces whose pods may scrape."""
EVERY_RAY_PORT = 1024
HIGHEST_PORT = 65535
DATA = (names.POSTGRES, 6432, names.HTTPS)
"""Postgres, PgBouncer, and stores and warehouses over HTTPS."""


def network() -> list[Manifest]:
    """The NetworkPolicies of the namespace."""
    ray = [_pods(COMPONENT), _pods(HEAD)]
    clients, monitoring = _namespaces(CLIENTS), _namespaces(MONITORING)
    operator = [{"namespaceSelector": {}, "podSelector": {"matchLabels": {f"{NAMES}/name": "kuberay-operator"}}}]
    dagster = [_pods(WEBSERVER), _pods(DAEMON)]
    return [
        _policy("default", {}, ingress=[], egress=[_rule([], [names.DNS], "UDP"), _rule([], [names.DNS])]),
        _policy(
            "ray",
            {"matchExpressions": [_among(f"{NAMES}/component", (COMPONENT, HEAD))]},
            ingress=[
                {"from": ray, "ports": [{"protocol": "TCP", "port": EVERY_RAY_PORT, "endPort": HIGHEST_PORT}]},
                _rule(operator, [names.DASHBOARD, names.HTTP, names.AGENT], way="from"),
                _rule(monitoring, [names.REPLICA, names.METRICS], way="from"),
            ],
            egress=[
                {"to": ray, "ports": [{"protocol": "TCP", "port": EVERY_RAY_PORT, "endPort": HIGHEST_PORT}]},
                _rule([], DATA),
            ],
        ),
        _policy("service", _selector(COMPONENT), ingress=[_rule(clients, [names.HTTP], way="from")]),
        _policy("autoscaler", _selector(HEAD), egress=[_rule([], [names.HTTPS, names.API_SERVER])]),
        _policy("dagster-webserver", _selector(WEBSERVER), ingress=[_rule(clients, [names.WEB], way="from")]),
        _policy("dagster-code", _selector(CODE_SERVER), ingress=[_rule(dagster, [names.CODE_SERVER], way="from")]),
        _policy(
            "pipeline",
            {"matchExpressions": [_among(f"{NAMES}/component", (WEBSERVER, DAEMON, CODE_SERVER, RUN, MIGRATION))]},
            egress=[
                _rule([_pods(CODE_SERVER)], [names.CODE_SERVER]),
                _rule([], [*DATA, names.API_SERVER]),
            ],
        ),
    ]


def _policy(
    name: str,
    selector: Manifest,
    *,
    ingress: Sequence[Manifest] | None = None,
    egress: Sequence[Manifest] | None = None,
) -> Manifest:
    spec: Manifest = {"podSelector": selector, "policyTypes": []}
    for kind, rules in (("Ingress", ingress), ("Egress", egress)):
        if rules is not None:
            spec["policyTypes"].append(kind)
            spec[kind.lower()] = list(rules)
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(f"penstock-{name}", "network"),
        "spec": spec,
    }


def _rule(peers: Sequence[Manifest], ports: Sequence[int], protocol: str = "TCP", way: str = "to") -> Manifest:
    """Peers and ports; no peers are all."""
    listed = [{"protocol": protocol, "port": port} for port in ports]
    return {way: list(peers), "ports": listed} if peers else {"ports": listed}


def _pods(component: str) -> Manifest:
    return {"podSelector": {"matchLabels": labels(component)}}


def _selector(component: str) -> Manifest:
    return {"matchLabels": labels(component)}


def _namespaces(label: Mapping[str, str]) -> list[Manifest]:
    return [{"namespaceSelector": {"matchLabels": dict(label)}}]


def _among(key: str, values: Sequence[str]) -> Manifest:
    return {"key": key, "operator": "In", "values": list(values)}

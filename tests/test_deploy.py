"""docker-compose.yml and deploy/: files that are named exist, queries parse, a live server exports what they ask for.

No container runs here: an engine would say more than a parser does.
"""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

import vecstore
from vecstore.config import Server, Settings
from vecstore.engine.database import Database
from vecstore.gateway.serving import start_server

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
PROMETHEUS_OWN = {"up": {"job", "instance"}}  # made by Prometheus itself
ADDED = {"job", "instance"}  # labels that it adds to every series


def read(path: str) -> Any:
    return yaml.safe_load((DEPLOY / path).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    return json.loads((DEPLOY / "grafana/dashboards/vecstore.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Sample names and their labels, of a server that has been asked all kinds of things."""
    settings = Settings(server=Server(port=0, rest_port=0))
    with Database.open(tmp_path_factory.mktemp("data"), settings) as database, start_server(database) as handle:
        with vecstore.connect(f"grpc://127.0.0.1:{handle.port}") as client:
            docs = client.create_collection("docs", vectors=vecstore.Dense(4))
            docs.upsert([1], np.ones((1, 4), np.float32))
            docs.query(np.ones(4, np.float32))
            docs.compact()
        database.probes.on_recall("docs", "", 0.9)
        with urllib.request.urlopen(f"http://127.0.0.1:{handle.rest_port}/metrics", timeout=60) as answer:
            text = answer.read().decode()
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def queries(dashboard: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]
    for group in read("prometheus/alerts.yml")["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]


def selectors(query: str) -> Iterator[tuple[str, set[str]]]:
    """(metric, labels it is asked for by) of each selector in a query that parses."""
    plain = query.replace("$__rate_interval", "5m")
    yield from _walk(promql_parser.parse(plain), set())


def _walk(node: Any, grouped: set[str]) -> Iterator[tuple[str, set[str]]]:
    kind = type(node).__name__
    if kind == "VectorSelector":
        yield node.name, grouped | {matcher.name for matcher in node.matchers.matchers}
    elif kind == "MatrixSelector":
        yield from _walk(node.vector_selector, grouped)
    elif kind == "AggregateExpr":
        by = set(node.modifier.labels) if node.modifier is not None else set()
        yield from _walk(node.expr, grouped | by)
    elif kind == "BinaryExpr":
        yield from _walk(node.lhs, grouped)
        yield from _walk(node.rhs, grouped)
    elif kind in ("ParenExpr", "UnaryExpr", "SubqueryExpr"):
        yield from _walk(node.expr, grouped)
    elif kind == "Call":
        for argument in node.args:
            yield from _walk(argument, grouped)
    else:
        assert kind in ("NumberLiteral", "StringLiteral"), kind


def missing(query: str, exported: dict[str, set[str]]) -> list[str]:
    found = list(selectors(query))
    assert found, f"{query} asks for nothing"
    known = exported | PROMETHEUS_OWN
    return [
        f"{metric} {sorted(labels - known.get(metric, set()) - ADDED)}"
        for metric, labels in found
        if metric not in known or labels - known[metric] - ADDED
    ]


def test_every_query_is_answered_by_a_live_server(dashboard: dict[str, Any], exported: dict[str, set[str]]) -> None:
    listed = list(queries(dashboard))
    assert len(listed) > 40
    wrong = {title: lacking for title, query in listed if (lacking := missing(query, exported))}
    assert not wrong


def test_the_check_sees_what_is_not_there(exported: dict[str, set[str]]) -> None:
    assert missing("rate(vecstore_nothing[5m])", exported)
    assert missing('sum by (nolabel) (vecstore_collection_points{collection="x"})', exported)
    assert missing('vecstore_collection_points{nolabel="x"} / vecstore_collections', exported)
    assert not missing("sum by (collection) (vecstore_collection_points) > time()", exported)
    with pytest.raises(ValueError, match="parenthesis"):
        missing("sum by (le (rate(x[5m]))", exported)


def test_every_metric_of_ours_is_documented_and_the_other_way_round(exported: dict[str, set[str]]) -> None:
    text = (ROOT / "docs" / "OPERATIONS.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `(vecstore_\w+)` \|", text, flags=re.M))
    ours = {re.sub(r"_(bucket|count|sum)$", "", name) for name in exported if name.startswith("vecstore_")}
    assert documented == ours


def test_every_alert_is_documented() -> None:
    text = (ROOT / "docs" / "OPERATIONS.md").read_text(encoding="utf-8")
    rules = [rule for group in read("prometheus/alerts.yml")["groups"] for rule in group["rules"]]
    assert {rule["alert"] for rule in rules} == set(re.findall(r"^\| `(Vecstore\w+)` \|", text, flags=re.M))
    for rule in rules:
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"]


def test_the_dashboard_is_whole(dashboard: dict[str, Any]) -> None:
    [source] = read("grafana/provisioning/datasources/prometheus.yml")["datasources"]
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    used = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in dashboard["panels"]}
    assert len(used) == len(ids), "panels lie on each other"
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            continue
        assert panel["datasource"]["uid"] == source["uid"]
        for target in panel["targets"]:
            assert set(re.findall(r"\$(\w+)", target["expr"])) <= variables | {"__rate_interval"}


def test_compose_mounts_what_exists_and_leads_from_one_to_the_next(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert set(services) == {"vecstore", "prometheus", "grafana"}
    for name, service in services.items():
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert (ROOT / source).is_dir() if source.startswith(".") else source in compose["volumes"], volume
        assert set(service.get("secrets", [])) <= set(compose["secrets"])
        assert all(port.startswith("127.0.0.1:") for port in service["ports"]), f"{name} is open to the network"
    [job] = read("prometheus/prometheus.yml")["scrape_configs"]
    assert job["static_configs"][0]["targets"] == [f"vecstore:{Server().rest_port}"]
    assert Server().rest, "REST serves the metrics here"
    assert job["authorization"]["credentials_file"] == "/run/secrets/vecstore_key"
    assert compose["secrets"]["vecstore_key"] == {"environment": "VECSTORE_SERVER_API_KEY"}
    assert read("prometheus/prometheus.yml")["rule_files"] == ["/etc/prometheus/alerts.yml"]
    [provider] = read("grafana/provisioning/dashboards/vecstore.yml")["providers"]
    targets = [volume.split(":")[1] for volume in services["grafana"]["volumes"]]
    assert provider["options"]["path"] in targets
    [source] = read("grafana/provisioning/datasources/prometheus.yml")["datasources"]
    assert source["url"] == "http://prometheus:9090"


def test_compose_sets_only_settings_that_exist(compose: dict[str, Any]) -> None:
    for name in compose["services"]["vecstore"]["environment"]:
        section, _, setting = name.removeprefix("VECSTORE_").lower().partition("_")
        assert setting in getattr(Settings(), section).__struct_fields__, name

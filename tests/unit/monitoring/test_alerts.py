"""The alerts and the dashboard of the chart, beside what the operator and the agent serve."""

import json
import re
from collections import Counter

import pytest
import yaml
from monitored import ALERTS, DASHBOARD, ROOT, asked, expressions, of_agents, rules, served
from prometheus_client.exposition import generate_latest

from kubestrace_agent.kernel import usage
from kubestrace_agent.service import metrics as agent_metrics
from kubestrace_agent.service.tallies import Tallies
from kubestrace_operator import metrics as operator_metrics
from kubestrace_protos.v1 import agent_pb2

RUNBOOKS = ROOT / "docs" / "how-to" / "alerts.md"
TESTS = ROOT / "tests" / "monitoring" / "alerts_test.yaml"


def operator_serves() -> dict[str, set[str]]:
    """Return what an operator serves that has done something of everything."""
    operator_metrics.watch_restarted("/api/v1/pods", "ended")
    operator_metrics.api_request("GET", "/api/v1/pods", 200)
    shown = operator_metrics.watch(lambda: [("Tracing", "Tracing")], lambda: [("1", "ready")])
    try:
        return served(operator_metrics.text().decode())
    finally:
        operator_metrics.unwatch(shown)


def agent_serves(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    """Return what an agent serves that has done something of everything."""
    part = usage.ProgramUse(loaded=1, run_ns=5, runs=1)
    monkeypatch.setattr(usage, "read", lambda _: usage.Usage(programs={"files": part}, stats_enabled=True))
    tallies = Tallies(reports=Counter(final=1), traces_ended=Counter(STOPPED=1))
    views = [agent_pb2.ViewSupport(name="files", available=True)]
    sources = agent_metrics.Sources(
        description=agent_pb2.DescribeResponse(can_trace=True, views=views),
        tallies=tallies,
        standing=lambda: (1, 1),
        runtime_errors=lambda: {"UNAVAILABLE": 1},
        programs=dict,
        walk_failures=lambda: 0,
        max_traces=1,
        max_containers=1,
    )
    return served(generate_latest(agent_metrics.Metrics(sources).registry).decode())


def test_everything_that_is_asked_for_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """A metric that is renamed, or a label, would leave an alert silent for ever."""
    operator, agent = operator_serves(), agent_serves(monkeypatch)

    for name, labels in asked().items():
        where = agent if of_agents(name) else operator
        assert name in where, name
        # `le` is asked of histograms only.
        assert labels <= where[name], name
    assert len(asked()) > 25


def test_the_page_names_every_metric_of_an_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each that is served has its row, and no row is of none."""
    page = (ROOT / "docs" / "how-to" / "monitor.md").read_text()
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `kubestrace_agent_")]

    named = {name.removesuffix("_total") for row in rows for name in re.findall(r"`(\w+)`", row)}

    families = {name.removesuffix("_total") for name in agent_serves(monkeypatch)}
    assert named == {name for name in families if name.startswith("kubestrace_agent_")}


def test_every_alert_has_its_runbook() -> None:
    """The link leads to a section that says what to look at."""
    sections = {line[3:].strip().lower() for line in RUNBOOKS.read_text().splitlines() if line.startswith("## ")}

    for rule in rules():
        link = rule["annotations"]["runbook_url"]
        assert link == f"docs/how-to/alerts.md#{rule['alert'].lower()}"
        assert link.partition("#")[2] in sections, rule["alert"]
        assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert {rule["alert"].lower() for rule in rules()} == sections


def test_every_alert_is_tested_for_firing_and_for_silence() -> None:
    """tests/monitoring/run runs these with promtool."""
    quiet, firing = yaml.safe_load(TESTS.read_text())["tests"]
    names = {rule["alert"] for rule in rules()}

    assert {case["alertname"] for case in quiet["alert_rule_test"]} == names
    assert {case["alertname"] for case in firing["alert_rule_test"]} == names
    assert not any(case["exp_alerts"] for case in quiet["alert_rule_test"])
    assert all(case["exp_alerts"] for case in firing["alert_rule_test"])


def test_what_an_alert_counts_by_increase_begins_with_zero() -> None:
    """Prometheus sees no increase in a series that begins with its first event."""
    empty = Tallies()
    operator = operator_metrics.text().decode()

    assert 'reason="OperatorFailed"' in operator
    assert 'kubestrace_reports_total{result="refused"}' in operator
    assert {"TooManyTraces", "TooManyTracesOfNamespace", "TooManyContainers"} <= empty.refused.keys()
    assert "NodeFull" in empty.containers_failed


def test_the_dashboard_is_one_that_grafana_reads() -> None:
    """Panels do not overlap, each has a title and a query of its data source."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    cells = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]

    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        assert panel["title"]
        assert panel["type"] == "row" or all(target["expr"] for target in panel["targets"])


def test_no_name_of_an_object_is_asked_for() -> None:
    """Sessions, pods and namespaces are in no label."""
    assert not re.search(r"\b(session|pod|namespace|container|node)\s*(=|,|\))", " ".join(expressions()))
    assert ALERTS.read_text().count("alert:") == len({rule["alert"] for rule in rules()})

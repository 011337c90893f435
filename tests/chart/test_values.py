"""What can be set, and what each setting does."""

import functools
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from rendering import CHART, IMAGES, NAMESPACE, ROOT, Chart, ChartError, merged

VALUES = CHART / "values.yaml"
CI_VALUES = sorted((CHART / "ci").glob("*-values.yaml"))
# Another value for each that there is, by path.
OTHERS: dict[str, Any] = {
    "fullnameOverride": "tracer",
    "imagePullSecrets": [{"name": "registry"}],
    "crds.install": False,
    "rbac.aggregate": False,
    "rbac.viewReadsResults": True,
    "admission.enabled": False,
    "admission.writeRequester": "v1",
    "admission.requireRequester": True,
    "tracing.namespaces": "if-enabled",
    "tracing.sessionsPerNamespace": 4,
    "tracing.containerSecondsPerHour": 3600,
    "tracing.containerSecondsPerDay": 7200,
    "tls.mode": "cert-manager",
    "tls.certManager.issuerRef": {"name": "company-ca"},
    "tls.certManager.duration": "720h",
    "tls.secret.operator": "ours",
    "tls.secret.agent": "ours",
    "metrics.agents.enabled": True,
    "metrics.scrapers": [{"podSelector": {}}],
    "metrics.serviceMonitor.enabled": True,
    "metrics.serviceMonitor.interval": "1m",
    "metrics.serviceMonitor.labels": {"release": "prometheus"},
    "metrics.podMonitor.enabled": True,
    "metrics.podMonitor.interval": "1m",
    "metrics.podMonitor.labels": {"release": "prometheus"},
    "metrics.prometheusRule.enabled": True,
    "metrics.prometheusRule.labels": {"release": "prometheus"},
    "metrics.prometheusRule.runbooks": "https://docs.example/alerts",
    "metrics.dashboard.enabled": True,
    "metrics.dashboard.labels": {"grafana_dashboard": "yes"},
    "networkPolicy.enabled": False,
    "operator.image.repository": "registry.example/operator",
    "operator.image.tag": "9",
    "operator.image.digest": "sha256:" + "0" * 64,
    "operator.image.pullPolicy": "Never",
    "operator.logLevel": "debug",
    "operator.logFormat": "json",
    "operator.replicas": 2,
    "operator.podDisruptionBudget": False,
    "operator.topologySpreadConstraints": [{"topologyKey": "rack"}],
    "operator.watchNamespaces": ["shop"],
    "operator.resources": {"limits": {"memory": "1Gi"}},
    "operator.nodeSelector": {"pool": "system"},
    "operator.tolerations": [{"operator": "Exists"}],
    "operator.affinity": {"nodeAffinity": {}},
    "operator.priorityClassName": "system-cluster-critical",
    "operator.podAnnotations": {"team": "platform"},
    "agent.image.repository": "registry.example/agent",
    "agent.image.tag": "9",
    "agent.image.digest": "sha256:" + "0" * 64,
    "agent.image.pullPolicy": "Never",
    "agent.logLevel": "debug",
    "agent.logFormat": "json",
    "agent.criSocket": "none",
    "agent.maxContainers": 7,
    "agent.maxTraces": 3,
    "agent.resources": {"limits": {"memory": "2Gi"}},
    "agent.nodeSelector": {"traced": "yes"},
    "agent.tolerations": [],
    "agent.affinity": {"nodeAffinity": {}},
    "agent.priorityClassName": "system-node-critical",
    "agent.podAnnotations": {"team": "platform"},
    "agent.updateStrategy": {"type": "OnDelete"},
    "agent.seccompProfile": {"type": "Unconfined"},
    "agent.appArmorProfile": {"type": "Unconfined"},
    "agent.seLinuxOptions": {"type": "spc_t"},
}
# Values that mean something only beside another one.
SETTINGS: dict[str, dict[str, Any]] = {
    "metrics.serviceMonitor.interval": {"metrics": {"serviceMonitor": {"enabled": True}}},
    "metrics.serviceMonitor.labels": {"metrics": {"serviceMonitor": {"enabled": True}}},
    "metrics.podMonitor.interval": {"metrics": {"podMonitor": {"enabled": True}}},
    "metrics.podMonitor.labels": {"metrics": {"podMonitor": {"enabled": True}}},
    "metrics.prometheusRule.labels": {"metrics": {"prometheusRule": {"enabled": True}}},
    "metrics.prometheusRule.runbooks": {"metrics": {"prometheusRule": {"enabled": True}}},
    "metrics.dashboard.labels": {"metrics": {"dashboard": {"enabled": True}}},
    "operator.podDisruptionBudget": {"operator": {"replicas": 2}},
    "tls.certManager": {"tls": {"mode": "cert-manager"}},
    "tls.secret": {"tls": {"mode": "secret", "secret": {"operator": "one", "agent": "two"}}},
}


def test_every_value_has_a_case_here() -> None:
    """A value that is added to the chart must show below that it has an effect."""
    assert sorted(path for path, _ in _values(_document())) == sorted(OTHERS)


@pytest.mark.parametrize("path", OTHERS)
def test_every_value_has_an_effect(chart: Chart, path: str) -> None:
    """Another value makes another chart: none is accepted and ignored."""
    setting = next((values for prefix, values in SETTINGS.items() if path.startswith(prefix)), {})

    changed = chart.manifests(**merged(setting, _nested(path, OTHERS[path])))

    assert changed != chart.manifests(**setting)


@pytest.mark.parametrize("path", OTHERS)
def test_every_value_has_a_comment_above_it(path: str) -> None:
    """A person who reads values.yaml alone learns what each value means."""
    line = dict(_values(_document()))[path]

    above = VALUES.read_text().splitlines()[line - 1].strip()

    assert above.startswith("# "), f"{path} (line {line + 1}) has '{above}' above it"


@pytest.mark.parametrize("values", CI_VALUES, ids=lambda path: path.stem)
def test_helm_lint_has_no_complaint(values: Any) -> None:
    """Each way to install the chart passes Helm's own strict check."""
    done = subprocess.run(
        ["helm", "lint", "--strict", "--namespace", NAMESPACE, "--values", values, CHART],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"agnet": {}}, "additional properties 'agnet' not allowed"),
        ({"agent": {"criSockt": "none"}}, "additional properties 'criSockt' not allowed"),
        ({"agent": {"image": {"name": "x"}}}, "additional properties 'name' not allowed"),
        ({"agent": {"criSocket": "containerd.sock"}}, "/agent/criSocket"),
        ({"agent": {"criSocket": "/containerd.sock"}}, "/agent/criSocket"),
        ({"agent": {"criSocket": "/run/../etc/x.sock"}}, "/agent/criSocket"),
        ({"agent": {"criSocket": ""}}, "/agent/criSocket"),
        ({"agent": {"image": {"repository": "registry.example/agent:1"}}}, "/agent/image/repository"),
        ({"agent": {"image": {"digest": "9f86d0"}}}, "/agent/image/digest"),
        (
            {"operator": {"image": {"tag": "9", "digest": "sha256:" + "0" * 64}}},
            "operator.image.tag and operator.image.digest are both set: set one of them",
        ),
        ({"agent": {"maxContainers": 0}}, "/agent/maxContainers"),
        ({"agent": {"maxTraces": 0}}, "/agent/maxTraces"),
        ({"agent": {"tolerations": {"operator": "Exists"}}}, "/agent/tolerations"),
        ({"operator": {"logLevel": "verbose"}}, "'debug', 'info', 'warning', 'error'"),
        ({"operator": {"watchNamespaces": "shop"}}, "/operator/watchNamespaces"),
        ({"tls": {"mode": "none"}}, "'self-signed', 'cert-manager', 'secret'"),
        ({"tls": {"certManager": {"duration": "90d"}}}, "/tls/certManager/duration"),
        ({"crds": {"install": "no"}}, "/crds/install"),
        ({"tls": {"mode": "secret"}}, "tls.secret.operator must name the Secret with the operator's certificate"),
        (
            {"tls": {"mode": "secret", "secret": {"operator": "ours"}}},
            "tls.secret.agent must name the Secret with the agents' certificate",
        ),
    ],
    ids=str,
)
def test_a_wrong_value_is_refused(chart: Chart, values: dict[str, Any], complaint: str) -> None:
    """A typo, a wrong type and a missing name stop the installation and say where they are."""
    with pytest.raises(ChartError) as refused:
        chart.manifests(**values)

    assert complaint in str(refused.value)


def test_only_the_images_are_required(chart: Chart) -> None:
    """With two names the chart installs."""
    kinds = {each["kind"] for each in chart.as_given(**IMAGES)}

    assert {"CustomResourceDefinition", "Deployment", "DaemonSet"} <= kinds


@pytest.mark.parametrize(("missing", "folder"), [("operator", "operator"), ("agent", "node_agent")])
def test_no_image_comes_from_a_place_that_nobody_chose(chart: Chart, missing: str, folder: str) -> None:
    """Whoever registered a default name would run code on every node: the chart refuses and says what to do."""
    with pytest.raises(ChartError) as refused:
        chart.as_given(**{name: value for name, value in IMAGES.items() if name != missing})

    assert f"{missing}.image.repository is empty" in str(refused.value)
    assert f"Build the image from {folder}/Dockerfile, push it to your registry and set" in str(refused.value)
    assert (ROOT / folder / "Dockerfile").exists()
    assert (ROOT / "charts/kubestrace/ci/kind-values.yaml").exists()


@pytest.mark.parametrize("name", ["kind", "rig"])
def test_local_images_are_asked_of_no_registry(chart: Chart, name: str) -> None:
    """A kind cluster and the rig run what was put on their nodes, or nothing."""
    values = yaml.safe_load((CHART / "ci" / f"{name}-values.yaml").read_text())
    workloads = {each["kind"]: each for each in chart.as_given(**values) if "template" in each.get("spec", {})}

    for component, kind in (("operator", "Deployment"), ("agent", "DaemonSet")):
        (container,) = workloads[kind]["spec"]["template"]["spec"]["containers"]
        assert container["image"].startswith(f"localhost/kubestrace/{component}:")
        assert container["imagePullPolicy"] == "Never"


def test_the_readme_has_the_values() -> None:
    """The table is the comments of values.yaml."""
    words = [sys.executable, ROOT / "tools" / "chart_values.py", "--check"]

    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)

    assert (done.returncode, done.stderr) == (0, "")


@functools.cache
def _document() -> yaml.MappingNode:
    node = yaml.compose(VALUES.read_text())
    assert isinstance(node, yaml.MappingNode)
    return node


def _values(node: yaml.MappingNode, prefix: str = "") -> Iterator[tuple[str, int]]:
    """Return the path and the line of each value; what has a case as a whole is not looked into."""
    for key, value in node.value:
        path = prefix + key.value
        if path not in OTHERS and isinstance(value, yaml.MappingNode) and value.value:
            yield from _values(value, f"{path}.")
        else:
            yield path, key.start_mark.line


def _nested(path: str, value: Any) -> dict[str, Any]:
    for name in reversed(path.split(".")):
        value = {name: value}
    return value

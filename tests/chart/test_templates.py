"""What is installed: as little power as does the job."""

import json
from typing import Any

import pytest
import yaml
from rendering import CHART, NAMESPACE, Chart

from kubestrace_agent.containers import cri

CAPABILITIES = {"BPF", "PERFMON"}
HOST_MOUNTS = {"/sys/fs/cgroup", "/run/containerd"}


def pod(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the pod of a workload."""
    return manifest["spec"]["template"]["spec"]


def container(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the one container of a workload."""
    (only,) = pod(manifest)["containers"]
    return only


def environment(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return a workload's environment."""
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container(manifest)["env"]}


@pytest.fixture
def agent(chart: Chart) -> dict[str, Any]:
    """Return the agent's DaemonSet."""
    return chart.one("DaemonSet", "agent")


@pytest.fixture
def operator(chart: Chart) -> dict[str, Any]:
    """Return the operator's Deployment."""
    return chart.one("Deployment", "operator")


def test_the_agent_has_two_capabilities_and_is_not_privileged(agent: dict[str, Any]) -> None:
    """Loading BPF is all that it may do beyond an ordinary container."""
    security = container(agent)["securityContext"]

    assert security["privileged"] is False
    assert security["allowPrivilegeEscalation"] is False
    assert security["readOnlyRootFilesystem"] is True
    assert security["capabilities"]["drop"] == ["ALL"]
    assert set(security["capabilities"]["add"]) == CAPABILITIES
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}


def test_the_agent_has_a_network_of_its_own(agent: dict[str, Any]) -> None:
    """Its port is a pod's port, where a NetworkPolicy holds, and not the node's."""
    assert "hostNetwork" not in pod(agent)
    assert not any("hostPort" in port for port in container(agent)["ports"])
    assert environment(agent)["KUBESTRACE_LISTEN"] == "$(POD_IP):9640"


def test_the_agent_has_no_token_and_no_rights(chart: Chart, agent: dict[str, Any]) -> None:
    """Whoever breaks into an agent finds nothing there to talk to the API server with."""
    account = chart.one("ServiceAccount", "agent")
    bound = [
        subject["name"]
        for each in chart.manifests()
        if each["kind"] in {"RoleBinding", "ClusterRoleBinding"}
        for subject in each["subjects"]
    ]

    assert pod(agent)["automountServiceAccountToken"] is False
    assert account["automountServiceAccountToken"] is False
    assert pod(agent)["serviceAccountName"] == account["metadata"]["name"]
    assert account["metadata"]["name"] not in bound


def test_the_agent_mounts_what_it_needs_of_the_node_read_only(agent: dict[str, Any]) -> None:
    """The cgroups and the runtime's socket, and nothing of the node can be written."""
    host = {each["name"]: each["hostPath"]["path"] for each in pod(agent)["volumes"] if "hostPath" in each}
    mounts = {each["name"]: each for each in container(agent)["volumeMounts"]}

    assert set(host.values()) == HOST_MOUNTS
    assert all(mounts[name]["readOnly"] and mounts[name]["mountPath"] == f"/host{path}" for name, path in host.items())


@pytest.mark.parametrize(
    ("chosen", "directory", "socket"),
    [
        ("containerd", "/run/containerd", "/host/run/containerd/containerd.sock"),
        ("k3s", "/run/k3s/containerd", "/host/run/k3s/containerd/containerd.sock"),
        ("crio", "/run/crio", "/host/run/crio/crio.sock"),
        ("cri-dockerd", "/run", "/host/run/cri-dockerd.sock"),
        ("/run/k0s/containerd.sock", "/run/k0s", "/host/run/k0s/containerd.sock"),
        ("auto", "/run", ""),
    ],
)
def test_the_directory_of_the_chosen_socket_is_mounted_alone(
    chart: Chart, chosen: str, directory: str, socket: str
) -> None:
    """No other runtime is within reach; a directory and not the socket, which a restarted runtime makes anew."""
    agent = chart.one("DaemonSet", "agent", agent={"criSocket": chosen})
    (mounted,) = [each for each in pod(agent)["volumes"] if each["name"] == "cri"]
    (mount,) = [each for each in container(agent)["volumeMounts"] if each["name"] == "cri"]

    assert mounted["hostPath"] == {"path": directory, "type": "Directory"}
    assert mount["mountPath"] == f"/host{directory}"
    assert mount["readOnly"] is True
    assert mount["mountPropagation"] == "HostToContainer"
    assert environment(agent)["KUBESTRACE_CRI_SOCKET"] == socket


def test_the_named_runtimes_are_those_that_the_agent_knows(chart: Chart) -> None:
    """Each name of the chart stands for a socket that the agent tries by itself, below the node's /run."""
    named = {
        environment(chart.one("DaemonSet", "agent", agent={"criSocket": name}))["KUBESTRACE_CRI_SOCKET"]
        for name in ("containerd", "k3s", "crio", "cri-dockerd")
    }

    assert named == {f"/host/run/{socket}" for socket in cri.KNOWN_SOCKETS}


def test_without_the_cri_nothing_of_the_runtime_is_mounted(chart: Chart) -> None:
    """`none` leaves the cgroup tree as the one thing of the node that is mounted."""
    agent = chart.one("DaemonSet", "agent", agent={"criSocket": "none"})

    assert [each["hostPath"]["path"] for each in pod(agent)["volumes"] if "hostPath" in each] == ["/sys/fs/cgroup"]
    assert environment(agent)["KUBESTRACE_CRI_SOCKET"] == ""


def test_every_linux_node_gets_an_agent(agent: dict[str, Any]) -> None:
    """Taints keep no node out, because pods on it could not be traced."""
    assert pod(agent)["tolerations"] == [{"operator": "Exists"}]
    assert pod(agent)["nodeSelector"] == {"kubernetes.io/os": "linux"}


def test_a_new_agent_is_ready_before_the_old_one_ends(agent: dict[str, Any]) -> None:
    """A session's gap is a second instead of the time that an agent needs to start."""
    assert agent["spec"]["updateStrategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
    }


def test_the_operator_is_an_ordinary_pod(operator: dict[str, Any]) -> None:
    """No user 0, no capability, no writable root, the runtime's seccomp profile: the restricted level passes it."""
    security = container(operator)["securityContext"]

    assert pod(operator)["securityContext"]["runAsNonRoot"] is True
    assert pod(operator)["securityContext"]["runAsUser"] == 65532
    assert pod(operator)["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert security == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostPID", "hostNetwork", "hostIPC", "volumes"} & set(pod(operator))


def test_one_operator_is_replaced_by_the_next(chart: Chart, operator: dict[str, Any]) -> None:
    """An upgrade ends the old one first: one from before the Lease would write the same statuses."""
    assert operator["spec"]["replicas"] == 1
    assert operator["spec"]["strategy"] == {"type": "Recreate"}
    assert "topologySpreadConstraints" not in pod(operator)
    assert not [each for each in chart.manifests() if each["kind"] == "PodDisruptionBudget"]


def test_replicas_are_spread_and_never_all_away(chart: Chart) -> None:
    """An upgrade starts a new one before it ends an old one, and a drain takes one at a time."""
    values = {"operator": {"replicas": 2, "priorityClassName": "important"}}
    operator = chart.one("Deployment", "operator", **values)
    budget = chart.one("PodDisruptionBudget", "operator", **values)
    selector = operator["spec"]["selector"]["matchLabels"]
    spread = {each["topologyKey"]: each for each in pod(operator)["topologySpreadConstraints"]}

    assert operator["spec"]["replicas"] == 2
    assert operator["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert budget["spec"]["maxUnavailable"] == 1
    assert budget["spec"]["selector"]["matchLabels"] == selector
    assert spread.keys() == {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}
    assert {each["whenUnsatisfiable"] for each in spread.values()} == {"ScheduleAnyway"}
    assert all(each["labelSelector"]["matchLabels"] == selector for each in spread.values())
    assert pod(operator)["priorityClassName"] == "important"


def test_spread_and_budget_can_be_ones_own(chart: Chart) -> None:
    """What is given replaces the default; a budget can be left out."""
    own = [{"topologyKey": "rack", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}]
    values = {"operator": {"replicas": 2, "podDisruptionBudget": False, "topologySpreadConstraints": own}}

    assert pod(chart.one("Deployment", "operator", **values))["topologySpreadConstraints"] == own
    assert not [each for each in chart.manifests(**values) if each["kind"] == "PodDisruptionBudget"]


def test_replicas_agree_by_a_lease_that_they_may_write(chart: Chart, operator: dict[str, Any]) -> None:
    """The Lease has the release's name, so two releases in a namespace do not stop each other."""
    variables = environment(operator)
    rules = [each for each in chart.one("Role", "operator")["rules"] if each["resources"] == ["leases"]]

    assert variables["KUBESTRACE_IDENTITY"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert [(each["verbs"], each.get("resourceNames")) for each in rules] == [
        (["create"], None),
        (["get", "update"], [variables["KUBESTRACE_LEASE"]]),
    ]
    assert variables["KUBESTRACE_LEASE"] == operator["metadata"]["name"]


def test_every_container_says_what_it_needs_and_how_it_is_probed(
    operator: dict[str, Any], agent: dict[str, Any]
) -> None:
    """Requests, a memory limit and all three probes are there for both."""
    for workload in (operator, agent):
        each = container(workload)
        assert each["resources"]["requests"].keys() == {"cpu", "memory"}
        assert "memory" in each["resources"]["limits"]
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= each.keys()


def test_the_operator_finds_the_agents_pods(operator: dict[str, Any], agent: dict[str, Any]) -> None:
    """The selector that the operator is given selects what the DaemonSet makes."""
    given = environment(operator)["KUBESTRACE_AGENT_SELECTOR"]
    labels = agent["spec"]["template"]["metadata"]["labels"]

    assert dict(term.split("=") for term in given.split(",")) == agent["spec"]["selector"]["matchLabels"]
    assert agent["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert environment(operator)["KUBESTRACE_AGENT_PORT"] == "9640"


def test_only_the_operator_reaches_the_agents(chart: Chart, operator: dict[str, Any], agent: dict[str, Any]) -> None:
    """The policy selects the agents, lets the operator's pods in, and lets nothing out."""
    policy = chart.one("NetworkPolicy", "agent")["spec"]
    ((source,),) = [rule["from"] for rule in policy["ingress"]]

    assert policy["podSelector"]["matchLabels"] == agent["spec"]["selector"]["matchLabels"]
    assert source["podSelector"]["matchLabels"] == operator["spec"]["selector"]["matchLabels"]
    assert source.keys() == {"podSelector"}
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert "egress" not in policy


def test_no_pod_connects_to_the_operator(chart: Chart, operator: dict[str, Any]) -> None:
    """Its one port answers kubelet, which is no pod."""
    policy = chart.one("NetworkPolicy", "operator")["spec"]

    assert policy["podSelector"]["matchLabels"] == operator["spec"]["selector"]["matchLabels"]
    assert policy["policyTypes"] == ["Ingress"]
    assert "ingress" not in policy


def test_scrapers_reach_the_metrics_and_nothing_else(chart: Chart, operator: dict[str, Any]) -> None:
    """The policy opens the one port, which the container has, to the pods that the value names."""
    prometheus = {"podSelector": {"matchLabels": {"app": "prometheus"}}}
    policy = chart.one("NetworkPolicy", "operator", metrics={"scrapers": [prometheus]})["spec"]
    (container,) = operator["spec"]["template"]["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}

    assert policy["ingress"] == [{"from": [prometheus], "ports": [{"port": ports["metrics"], "protocol": "TCP"}]}]
    assert environment(operator)["KUBESTRACE_METRICS"] == f":{ports['metrics']}"


@pytest.mark.parametrize(
    ("kind", "value", "endpoints"),
    [("ServiceMonitor", "serviceMonitor", "endpoints"), ("PodMonitor", "podMonitor", "podMetricsEndpoints")],
)
def test_monitors_select_the_operator(
    chart: Chart, operator: dict[str, Any], kind: str, value: str, endpoints: str
) -> None:
    """Neither is there by default; the Service that a ServiceMonitor selects has the operator's pods behind it."""
    values = {"metrics": {value: {"enabled": True, "labels": {"release": "prometheus"}}}}
    monitor = chart.one(kind, "operator", **values)
    labels = operator["spec"]["template"]["metadata"]["labels"]
    selected = labels
    if kind == "ServiceMonitor":
        service = chart.one("Service", "operator", **values)
        selected = service["metadata"]["labels"]
        assert service["spec"]["selector"].items() <= labels.items()
        assert [port["name"] for port in service["spec"]["ports"]] == ["metrics"]

    assert not [each for each in chart.manifests() if each["kind"] in {kind, "Service"}]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= selected.items()
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert monitor["spec"][endpoints] == [{"port": "metrics", "path": "/metrics", "interval": "30s"}]


def test_the_agents_serve_metrics_only_when_told_to(chart: Chart, agent: dict[str, Any]) -> None:
    """Neither a port nor a monitor nor a rule is there by default; scrapers reach that port and no other."""
    prometheus = {"podSelector": {"matchLabels": {"app": "prometheus"}}}
    values = {"agents": {"enabled": True}, "scrapers": [prometheus]}
    pods = chart.one("DaemonSet", "agent", metrics=values)
    (container,) = pods["spec"]["template"]["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    policy = chart.one("NetworkPolicy", "agent", metrics=values)["spec"]

    assert "KUBESTRACE_METRICS_LISTEN" not in environment(agent)
    assert len(chart.one("NetworkPolicy", "agent", metrics={"scrapers": [prometheus]})["spec"]["ingress"]) == 1
    assert environment(pods)["KUBESTRACE_METRICS_LISTEN"] == f"$(POD_IP):{ports['metrics']}"
    assert policy["ingress"][1] == {"from": [prometheus], "ports": [{"port": ports["metrics"], "protocol": "TCP"}]}
    assert [port["port"] for port in policy["ingress"][0]["ports"]] == [ports["grpc"]]


@pytest.mark.parametrize("value", ["serviceMonitor", "podMonitor"])
def test_agents_are_scraped_pod_by_pod(chart: Chart, agent: dict[str, Any], value: str) -> None:
    """With the operator's monitor, whichever it is."""
    monitor = {value: {"enabled": True, "interval": "1m", "labels": {"release": "prometheus"}}}
    found = chart.one("PodMonitor", "agent", metrics={"agents": {"enabled": True}, **monitor})

    labels = agent["spec"]["template"]["metadata"]["labels"]
    assert found["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert found["metadata"]["labels"]["release"] == "prometheus"
    assert found["spec"]["podMetricsEndpoints"] == [{"port": "metrics", "path": "/metrics", "interval": "1m"}]
    others = chart.manifests(metrics=monitor)
    assert not [each for each in others if each["kind"] == "PodMonitor" and each["metadata"]["name"].endswith("agent")]


def test_alerts_and_dashboard_are_what_was_tested(chart: Chart) -> None:
    """The files that promtool checks, with the runbooks' address and the labels of the values."""
    rule = {"enabled": True, "labels": {"release": "prometheus"}, "runbooks": "https://docs.example/alerts"}
    metrics = {"prometheusRule": rule, "dashboard": {"enabled": True}}
    found = chart.one("PrometheusRule", "kubestrace", metrics=metrics)
    dashboard = chart.one("ConfigMap", "dashboard", metrics=metrics)
    text = (CHART / "monitoring" / "alerts.yaml").read_text().replace("docs/how-to/alerts.md", rule["runbooks"])

    assert found["spec"] == yaml.safe_load(text)
    assert found["metadata"]["labels"]["release"] == "prometheus"
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"
    original = json.loads((CHART / "monitoring" / "dashboard.json").read_text())
    assert json.loads(dashboard["data"]["kubestrace.json"]) == original
    others = {(each["kind"], each["metadata"]["name"]) for each in chart.manifests()}
    assert not {each for each in others if each[0] == "PrometheusRule" or each[1].endswith("dashboard")}


def test_the_operator_writes_the_config_map_that_the_chart_makes(chart: Chart, operator: dict[str, Any]) -> None:
    """By name, and no other: what each node can trace. Without data here, no tool takes the operator's away."""
    made = chart.one("ConfigMap", "nodes")
    name = made["metadata"]["name"]
    rules = [each for each in chart.one("Role", "operator")["rules"] if each["resources"] == ["configmaps"]]

    assert environment(operator)["KUBESTRACE_NODES_CONFIG_MAP"] == name
    assert [(each["resourceNames"], each["verbs"]) for each in rules] == [([name], ["get", "patch"])]
    assert "data" not in made


def test_nothing_is_looked_up_in_the_cluster() -> None:
    """`helm template`, Argo CD and Flux render what `helm install` does."""
    for template in (CHART / "templates").iterdir():
        assert "lookup" not in template.read_text(), template.name
        assert ".Capabilities" not in template.read_text(), template.name


def test_the_operator_may_write_sessions_and_events_and_nothing_else_in_the_cluster(chart: Chart) -> None:
    """Every other right outside its own namespace is a right to read."""
    rules = chart.one("ClusterRole", "operator")["rules"]
    writes = {
        (resource, verb)
        for rule in rules
        for resource in rule["resources"]
        for verb in set(rule["verbs"]) - {"get", "list", "watch"}
    }

    assert writes == {
        ("tracesessions", "create"),
        ("tracesessions", "patch"),
        ("tracesessions", "delete"),
        ("tracesessions/status", "patch"),
        ("traceschedules/status", "patch"),
        ("events", "create"),
    }
    assert not any("*" in rule[part] for rule in rules for part in ("apiGroups", "resources", "verbs"))
    assert "secrets" not in {resource for rule in rules for resource in rule["resources"]}


def test_the_operator_reads_three_secrets_by_name(chart: Chart) -> None:
    """Of Secrets it sees its own three, in its own namespace; only a creation cannot be restricted to names."""
    role = chart.one("Role", "operator")
    rules = [rule for rule in role["rules"] if rule["resources"] == ["secrets"]]
    unnamed = [rule["verbs"] for rule in rules if "resourceNames" not in rule]
    names = {name for rule in rules for name in rule.get("resourceNames", [])}

    assert role["metadata"]["namespace"] == NAMESPACE
    assert unnamed == [["create"]]
    assert names == {"kubestrace-ca", "kubestrace-operator-tls", "kubestrace-agent-tls"}


@pytest.mark.parametrize("mode", ["cert-manager", "secret"])
def test_an_operator_that_makes_no_certificates_writes_no_secret(chart: Chart, mode: str) -> None:
    """With cert-manager or given Secrets it may read the one with its own certificate."""
    values = {"tls": {"mode": mode, "secret": {"operator": "ours", "agent": "theirs"}}}
    rules = [rule for rule in chart.one("Role", "operator", **values)["rules"] if rule["resources"] == ["secrets"]]
    name = {"cert-manager": "kubestrace-operator-tls", "secret": "ours"}[mode]

    assert rules == [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": [name], "verbs": ["get"]}]


def test_named_namespaces_take_the_rights_in_all_others_away(chart: Chart) -> None:
    """An operator for two namespaces has a role in each and none in the cluster."""
    values = {"operator": {"watchNamespaces": ["shop", "billing"]}}
    manifests = chart.manifests(**values)
    roles = {each["metadata"]["namespace"] for each in manifests if each["kind"] == "Role"}
    bindings = {each["metadata"]["namespace"] for each in manifests if each["kind"] == "RoleBinding"}

    assert roles == bindings == {NAMESPACE, "shop", "billing"}
    assert not [each for each in manifests if each["kind"] == "ClusterRoleBinding"]
    assert environment(chart.one("Deployment", "operator", **values))["KUBESTRACE_WATCH_NAMESPACES"] == "shop,billing"


@pytest.mark.parametrize(
    ("values", "operator_secret", "agent_secret", "operator_mode"),
    [
        ({}, "kubestrace-operator-tls", "kubestrace-agent-tls", "self-signed"),
        ({"tls": {"mode": "cert-manager"}}, "kubestrace-operator-tls", "kubestrace-agent-tls", "secret"),
        ({"tls": {"mode": "secret", "secret": {"operator": "ours", "agent": "theirs"}}}, "ours", "theirs", "secret"),
    ],
)
def test_both_sides_use_the_secrets_of_the_mode(
    chart: Chart, values: dict[str, Any], operator_secret: str, agent_secret: str, operator_mode: str
) -> None:
    """The operator is told its Secret and whether to make it; the agent has its own mounted."""
    operator = environment(chart.one("Deployment", "operator", **values))
    agent = chart.one("DaemonSet", "agent", **values)
    (mounted,) = [each["secret"] for each in pod(agent)["volumes"] if "secret" in each]

    assert operator["KUBESTRACE_TLS_MODE"] == operator_mode
    assert operator["KUBESTRACE_OPERATOR_TLS_SECRET"] == operator_secret
    assert mounted["secretName"] == agent_secret


def test_cert_manager_is_asked_for_the_names_that_the_agents_and_the_operator_check(chart: Chart) -> None:
    """The operator's certificate has the identity that agents pin, the agents' the name that the operator expects."""
    values = {"tls": {"mode": "cert-manager"}}
    operator = chart.one("Certificate", "operator", **values)["spec"]
    agent = chart.one("Certificate", "agent", **values)["spec"]
    ca = chart.one("Certificate", "-ca", **values)["spec"]

    assert operator["uris"] == ["spiffe://kubestrace.io/operator"]
    assert operator["usages"] == ["digital signature", "client auth"]
    assert agent["dnsNames"] == ["kubestrace-agent"]
    assert agent["usages"] == ["digital signature", "server auth"]
    assert ca["isCA"] is True
    assert ca["secretName"] == chart.one("Issuer", "-ca", **values)["spec"]["ca"]["secretName"]


def test_an_issuer_that_is_there_makes_the_chart_bring_none(chart: Chart) -> None:
    """With issuerRef both certificates come from it, and there is no CA of the chart's own."""
    reference = {"name": "company-ca", "kind": "ClusterIssuer"}
    manifests = chart.manifests(tls={"mode": "cert-manager", "certManager": {"issuerRef": reference}})
    certificates = [each for each in manifests if each["kind"] == "Certificate"]

    assert [each["spec"]["issuerRef"] for each in certificates] == [reference, reference]
    assert not [each for each in manifests if each["kind"] == "Issuer"]


def test_the_definition_outlives_the_release(chart: Chart) -> None:
    """`helm uninstall` does not delete the sessions of the whole cluster."""
    for name in ("tracesessions.kubestrace.io", "traceschedules.kubestrace.io"):
        crd = chart.one("CustomResourceDefinition", name)

        assert crd["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_namespaces_are_named_in_every_object(chart: Chart) -> None:
    """What is not of the whole cluster says its namespace, so that `helm template | kubectl apply` puts it there."""
    of_the_cluster = {"CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding"}
    of_the_cluster |= {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}
    wrong = [
        each["metadata"]["name"]
        for each in chart.manifests(tls={"mode": "cert-manager"})
        if (each["metadata"].get("namespace") == NAMESPACE) == (each["kind"] in of_the_cluster)
    ]

    assert wrong == []


def test_every_object_carries_the_release_in_its_labels(chart: Chart) -> None:
    """`kubectl get ... -l app.kubernetes.io/instance=kubestrace` finds all of it."""
    unlabelled = [
        each["metadata"]["name"]
        for each in chart.manifests(tls={"mode": "cert-manager"})
        if each["metadata"]["labels"].get("app.kubernetes.io/instance") != "kubestrace"
    ]

    assert unlabelled == []


def test_each_template_holds_one_kind_of_object(chart: Chart) -> None:
    """A reader finds an object by its kind."""
    for template in (CHART / "templates").glob("*.yaml"):
        kinds = {line for line in template.read_text().splitlines() if line.startswith("kind: ")}
        assert len(kinds) == 1, f"{template.name} holds {sorted(kinds)}"


def test_the_version_is_the_projects(chart: Chart) -> None:
    """Chart, application and the images that it names have one version."""
    metadata = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = (CHART.parents[1] / "pyproject.toml").read_text()

    assert f'\nversion = "{metadata["appVersion"]}"\n' in project
    assert metadata["version"] == metadata["appVersion"]
    image = container(chart.one("DaemonSet", "agent"))["image"]
    assert image == f"registry.example/kubestrace/agent:{metadata['appVersion']}"


def test_a_digest_takes_the_place_of_the_tag(chart: Chart) -> None:
    """What runs is then known, whatever the registry does."""
    digest = "sha256:" + "1" * 64
    operator = chart.one("Deployment", "operator", operator={"image": {"digest": digest}})

    assert container(operator)["image"] == f"registry.example/kubestrace/operator@{digest}"


def test_no_address_is_of_ipv4_alone(operator: dict[str, Any], agent: dict[str, Any]) -> None:
    """The agent listens on its pod's own address, of whichever family; the operator's probes on every address."""
    listens = [environment(agent)["KUBESTRACE_LISTEN"], environment(agent)["KUBESTRACE_HEALTH_LISTEN"]]
    first, *others = [variable for variable in container(agent)["env"] if "POD_IP" in str(variable)]

    assert listens == ["$(POD_IP):9640", "$(POD_IP):9641"]
    # kubelet replaces only variables that stand above.
    assert first == {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
    assert others
    assert environment(operator)["KUBESTRACE_LIVENESS"] == ":8080"


def test_a_new_agent_serves_soon_and_a_busy_one_stays(agent: dict[str, Any]) -> None:
    """What nobody counts meanwhile is a gap; one that is slow to answer for less than half a minute is not given up."""
    probe = container(agent)["readinessProbe"]

    assert probe["periodSeconds"] <= 2
    assert probe["periodSeconds"] * probe["failureThreshold"] >= 30


def test_waiting_is_no_reason_to_restart(operator: dict[str, Any], agent: dict[str, Any]) -> None:
    """Probes that restart a container ask whether it is alive, which both are while they wait for certificates."""
    for each, alive, ready in ((operator, "/healthz", "/readyz"), (agent, "/livez", "/healthz")):
        for probe in ("startupProbe", "livenessProbe"):
            assert container(each)[probe]["httpGet"] == {"path": alive, "port": "health"}
        assert container(each)["readinessProbe"]["httpGet"] == {"path": ready, "port": "health"}


def test_the_policy_knows_every_field_of_a_schedule(chart: Chart) -> None:
    """But the one that anybody may set who may write schedules."""
    definition = chart.one("CustomResourceDefinition", "traceschedules.kubestrace.io")
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    fields = schema["properties"]["spec"]["properties"].keys() - {"suspend", "sessionTemplate"}
    (condition,) = chart.one("ValidatingAdmissionPolicy", "-schedules")["spec"]["matchConditions"]

    compared = {each for each in fields if f"object.spec.?{each} != oldObject.spec.?{each}" in condition["expression"]}
    assert compared == fields
    assert "object.spec.sessionTemplate != oldObject.spec.sessionTemplate" in condition["expression"]


@pytest.mark.parametrize("served", [[], ["shop", "bank"]])
def test_the_policies_hold_where_the_release_serves(chart: Chart, served: list[str]) -> None:
    """Those of one release would refuse what the operator of another makes of schedules."""
    values = {"operator": {"watchNamespaces": served}, "admission": {"writeRequester": "v1"}}
    bindings = [each for each in chart.manifests(**values) if each["kind"].endswith("AdmissionPolicyBinding")]
    names = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": served}
    expected = {"namespaceSelector": {"matchExpressions": [names]}} if served else None

    assert len(bindings) == 4
    assert [each["spec"].get("matchResources") for each in bindings] == [expected] * 4

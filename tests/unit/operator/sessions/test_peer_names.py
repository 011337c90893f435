"""Whose addresses are, as pods come and go."""

from typing import Any

from operator_fakes import Stage, in_no_time
from operator_fakes import pod as fake_pod

from kubestrace_operator.kube.pods import trimmed
from kubestrace_operator.sessions.peer_names import MAX_ADDRESSES, PeerNames
from kubestrace_operator.views.view import PeerName
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import network_pb2


def pod(
    name: str, *addresses: str, owner: tuple[str, str] | None = None, host: bool = False, template: str = ""
) -> Any:
    """Return a pod as the operator keeps it."""
    owners = [{"kind": owner[0], "name": owner[1], "controller": True}] if owner else []
    labels = {"pod-template-hash": template} if template else {}
    return trimmed({
        "metadata": {"name": name, "uid": name, "labels": labels, "ownerReferences": owners},
        "spec": {"hostNetwork": host},
        "status": {"podIP": addresses[0] if addresses else None, "podIPs": [{"ip": each} for each in addresses]},
    })  # fmt: skip


def names(*pods: Any) -> dict[str, PeerName]:
    """Return what these come to."""
    found = PeerNames()
    for each in pods:
        found.update({each["metadata"]["uid"]: each})
    return found.names()


def test_pods_and_their_workloads() -> None:
    """A ReplicaSet of a Deployment is the Deployment; both addresses of a pod are its own."""
    web = pod("web-6d5f-x", "10.0.0.1", "2001:db8::1", owner=("ReplicaSet", "web-6d5f"), template="6d5f")
    lone = pod("lone-x", "10.0.0.2", owner=("ReplicaSet", "lone"))
    single = pod("single", "10.0.0.3")

    found = names(web, lone, single, pod("waiting"))

    assert found == {
        "10.0.0.1": PeerName("web-6d5f-x", "Deployment/web"),
        "2001:db8::1": PeerName("web-6d5f-x", "Deployment/web"),
        "10.0.0.2": PeerName("lone-x", "ReplicaSet/lone"),
        "10.0.0.3": PeerName("single", ""),
    }


def test_the_address_of_a_node_has_no_name() -> None:
    """It is that of all pods with hostNetwork, and of what is no pod."""
    assert names(pod("agent", "192.168.0.1", host=True)) == {}


def test_an_address_that_several_pods_had() -> None:
    """What they have in common is true of each; a name of one of them would be a guess."""
    job, db = ("Job", "work"), ("StatefulSet", "db")

    found = names(pod("work-1", "10.0.0.1", owner=job), pod("work-2", "10.0.0.1", owner=job))

    assert found == {"10.0.0.1": PeerName("", "Job/work")}
    assert names(pod("work-1", "10.0.0.1", owner=job), pod("db-0", "10.0.0.1", owner=db)) == {}


def test_a_pod_that_is_gone_has_had_its_address() -> None:
    """Its connections are in the rows."""
    found = PeerNames()
    found.update({"a": pod("a", "10.0.0.1")})
    found.update({"a": None})

    assert found.names() == {"10.0.0.1": PeerName("a", "")}


def test_how_many_addresses_are_kept() -> None:
    """Beyond that they stay addresses."""
    found = names(*(pod(f"p{number}", f"10.0.{number >> 8}.{number & 255}") for number in range(MAX_ADDRESSES + 3)))

    assert len(found) == MAX_ADDRESSES


@in_no_time
async def test_a_session_names_the_pods_of_its_namespace() -> None:
    """Also those that it does not trace; other addresses stay as they are."""
    owner = [{"kind": "StatefulSet", "name": "db", "controller": True}]
    stage = Stage(fake_pod("a"), fake_pod("db-0", labels={"app": "db"}, owners=owner, podIP="10.0.0.9"))
    stage.cluster.services_by_address = {"10.96.0.7": "checkout"}
    agent = stage.agents["n1"]
    report = agent.report

    def with_peers(uid: str) -> agent_pb2.Report:
        made = report(uid)
        for container in made.containers:
            result = network_pb2.NetworkResult()
            for address in ("10.0.0.9", "10.96.0.7", "192.0.2.1"):
                result.peers.add(role="client", address=address, port=5432, attempts=1)
            container.views["network"].Pack(result)
        return made

    agent.report = with_peers  # type: ignore[method-assign]

    status = await stage.run(views={"network": {}})

    names = [tuple(row.get(name) for name in ("address", *PeerName._fields)) for row in status["network"]["peers"]]
    assert names == [
        ("10.0.0.9", "db-0", "StatefulSet/db", None),
        ("10.96.0.7", None, None, "checkout"),
        ("192.0.2.1", None, None, None),
    ]
    assert "to 10.96.0.7:5432 (Service/checkout)" in status["table"]
    assert "to 10.0.0.9:5432 (StatefulSet/db)" in status["table"]


@in_no_time
async def test_services_that_may_not_be_read() -> None:
    """The session ends as without them, and asks only where peers are shown."""
    stage = Stage(fake_pod("a"))
    stage.cluster.refuses_services = True

    assert (await stage.run(views={"network": {}}))["phase"] == "Succeeded"

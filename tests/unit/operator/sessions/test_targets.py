"""Which containers of which pods a target means."""

from collections.abc import Collection

from operator_fakes import Document, pod

from kubestrace_operator.api.spec import Selector, Target, Workload
from kubestrace_operator.kube.pods import trimmed
from kubestrace_operator.sessions import targets
from kubestrace_operator.sessions.pod_selection import PodSelection


def find(
    target: Target, pods: list[Document], selector: Selector | None = None, chosen: Collection[str] = ()
) -> targets.Found:
    """Return what a target means among pods."""
    selection = PodSelection(target, selector)
    selection.update({each["metadata"]["uid"]: each for each in pods})
    return selection.found(chosen)


SHOP = Target(selector=Selector((("app", "shop"),)))


def names(found: targets.Found) -> list[str]:
    """Return pod/container of everything that can be traced."""
    return [f"{each.pod}/{each.container}" for each in found.running]


def test_only_matching_pods_are_meant() -> None:
    """A neighbour with other labels is not."""
    found = find(SHOP, [pod("a"), pod("b", labels={"app": "other"})])

    assert names(found) == ["a/app"]


def test_the_message_to_the_agent() -> None:
    """Everything that an agent needs to find the container."""
    (running,) = find(SHOP, [pod("a", restarts=2)]).running
    message = running.message()

    assert (message.pod_uid, message.pod_namespace, message.pod_name) == ("uid-a", "shop", "a")
    assert (message.container_name, message.container_id) == ("app", "containerd://a-app-2")
    assert message.restart_count == 2


def test_a_static_pod_is_known_by_its_hash() -> None:
    """Kubelet and the runtime know it by that, not by the UID of the API server's image of it; only a hash is taken."""
    static, forged = pod("static"), pod("forged")
    for each, mirror in ((static, "0123456789abcdef" * 2), (forged, "11111111-2222-3333-4444-555555555555")):
        each["metadata"]["annotations"] = {"kubernetes.io/config.mirror": mirror}

    found = find(SHOP, [trimmed(static), trimmed(forged), trimmed(pod("plain"))])

    assert {each.pod: each.message().pod_uid for each in found.running} == {
        "static": "0123456789abcdef" * 2,
        "forged": "uid-forged",
        "plain": "uid-plain",
    }
    assert {each.kubelet_uid for each in found.pods} == {each.pod_uid for each in found.running}
    assert {each.uid for each in found.pods} == {"uid-static", "uid-forged", "uid-plain"}


def test_containers_of_all_kinds_are_traced() -> None:
    """Unless a person wants less; a name means a container of any kind."""
    init = [{"name": "proxy", "restartPolicy": "Always"}, {"name": "prepare"}]
    statuses = [
        {"name": name, "containerID": f"containerd://{name}", "restartCount": 0, "state": {"running": {}}}
        for name in ("proxy", "prepare", "debug")
    ]
    both = pod("a", init=init, initContainerStatuses=statuses[:2], ephemeralContainerStatuses=statuses[2:])
    both["spec"]["ephemeralContainers"] = [{"name": "debug"}]

    def found(**less: object) -> dict[str, str]:
        target = Target(selector=SHOP.selector, **less)  # type: ignore[arg-type]
        return {each.container: each.message().kind for each in find(target, [trimmed(both)]).running}

    app, proxy = {"app": "container"}, {"proxy": "sidecar"}
    prepare, debug = {"prepare": "initContainer"}, {"debug": "ephemeralContainer"}
    assert found() == app | proxy | prepare | debug
    assert found(init_containers=False) == app | proxy | debug
    assert found(ephemeral_containers=False) == app | proxy | prepare
    assert found(containers=("prepare",), init_containers=False) == prepare


def test_what_the_agent_of_a_pods_node_is_told() -> None:
    """Before anything runs there; of a pod without a node nobody is told."""
    init = [{"name": "prepare"}]
    waiting = pod("a", init=init, state={"waiting": {"reason": "CrashLoopBackOff"}})
    nowhere = pod("b", node="", state={})
    target = Target(selector=SHOP.selector, init_containers=False)

    found = find(target, [waiting, nowhere])
    (told,) = targets.watched_by_node(found.pods)["n1"]

    assert found.running == ()
    assert (told.uid, told.namespace, told.name) == ("uid-a", "shop", "a")
    assert (list(told.excluded_containers), list(told.containers)) == (["prepare"], [])
    assert dict(told.kinds) == {"app": "container", "prepare": "initContainer"}
    assert targets.watched_by_node(found.pods).keys() == {"n1"}


def test_a_container_name_that_no_pod_has() -> None:
    """The failure lists those that there are."""
    found = find(Target(pod_name="a", containers=("prepare",)), [pod("a")])

    assert found.failures[0].message == "no matching pod has a container 'prepare'; there are app"
    assert found.without_container == ("a",)


def test_pods_that_have_ended_are_no_candidates() -> None:
    """A finished Job's pod has nothing to trace, and the reason says so."""
    found = find(SHOP, [pod("a", phase="Succeeded")])

    assert found.running == ()
    assert found.why_nothing == "Every pod with the labels app=shop has ended: a."


def test_pods_that_are_traced_keep_their_place() -> None:
    """MaxPods takes the oldest, but a pod that is traced is not given up for an older one that matches now."""
    young, old = pod("young", created="2026-02-02"), pod("old", created="2026-01-01")
    target = Target(selector=SHOP.selector, max_pods=1)

    assert names(find(target, [young, old])) == ["old/app"]
    assert names(find(target, [young, old], chosen={"uid-young"})) == ["young/app"]


def test_why_nothing_runs() -> None:
    """Each container that waits is named with its reason."""
    waiting = pod("a", state={"waiting": {"reason": "ImagePullBackOff"}})
    unscheduled = pod("b", node="", state={})
    ended = pod("c", state={"terminated": {"reason": "Error", "exitCode": 1}})

    why = find(SHOP, [waiting, unscheduled, ended]).why_nothing

    assert why.startswith("3 pods match, but nothing that is wanted runs yet: ")
    assert "container app of pod a is waiting (ImagePullBackOff)" in why
    assert "container app of pod b has no node yet" in why
    assert "container app of pod c has ended (Error, exit code 1)" in why


def test_owners_decide_for_workloads() -> None:
    """The controller's kind and name count; other controllers may use the same labels."""
    owner = {"kind": "StatefulSet", "name": "db", "controller": True}
    other = {"kind": "StatefulSet", "name": "db2", "controller": True}
    idle = {"kind": "StatefulSet", "name": "db", "controller": False}
    pods = [pod("a", owners=[owner]), pod("b", owners=[other]), pod("c", owners=[idle]), pod("d")]

    found = find(Target(workload=Workload("StatefulSet", "db")), pods, selector=Selector())

    assert names(found) == ["a/app"]


def test_a_deployments_pods_during_a_rollout() -> None:
    """Pods of all its ReplicaSets are meant, old and new."""
    pods = [
        pod(
            name,
            labels={"app": "shop", "pod-template-hash": template},
            owners=[{"kind": "ReplicaSet", "name": f"shop-{template}", "controller": True}],
        )
        for name, template in (("old", "5d"), ("new", "7f"))
    ]

    found = find(Target(workload=Workload("Deployment", "shop")), pods, selector=Selector())

    assert names(found) == ["new/app", "old/app"]

"""Static pods: kubelet runs them from a file, as it runs etcd and the API server."""

from kubectl import Namespace
from workloads import busy_pod, static_pod


def test_a_static_pod(namespace: Namespace) -> None:
    """Its cgroup is named after a hash of its file, not by the UID of the pod that the API server shows."""
    manifest = busy_pod("shop", "shop")
    manifest["metadata"]["namespace"] = namespace.name
    with static_pod("node-1", manifest):
        namespace.kubectl("wait", "pod/shop-node-1", "--for=create", "--timeout=60s")
        namespace.kubectl("wait", "pod/shop-node-1", "--for=condition=Ready", "--timeout=60s")
        metadata = namespace.get("pod", "shop-node-1")["metadata"]

        status = namespace.session("static", {"podName": "shop-node-1"}, durationSeconds=3).finished()

    assert metadata["annotations"]["kubernetes.io/config.mirror"] != metadata["uid"]
    assert status["trust"]["complete"] is True
    assert [row["pod"] for row in status["containers"]] == ["shop-node-1"]
    assert status["summary"]["calls"] > 0

"""What is wrong with pods of a cluster, said in one sentence."""

from kubectl import Document, Namespace
from workloads import NODES, SHELL_IMAGE, pod

# Looks for its configuration, and ends when there is none.
START = "cat /etc/shop/config.yaml || exit 3"


def crashing(name: str, node: str) -> Document:
    """Return a pod that cannot start."""
    container = {"name": "app", "image": SHELL_IMAGE, "command": ["sh", "-c", START]}
    return pod(name, "shop", container, nodeName=node, restartPolicy="Always")


def test_a_crash_loop_says_which_file_is_missing(namespace: Namespace) -> None:
    """From the last call that failed before each end; what cannot be judged is said."""
    target = {"selector": {"matchLabels": {"app": "shop"}}}
    session = namespace.session("why", target, durationSeconds=12, views={"errors": {}})
    namespace.apply(*(crashing(f"shop-{number}", node) for number, node in enumerate(NODES)))
    status = session.finished()
    first = status["findings"][0]

    assert (first["id"], first["severity"], first["pods"], first["ofPods"]) == ("died-after-error", "critical", 2, 2)
    assert 'could not open "/etc/shop/config.yaml": no such file (ENOENT).' in first["summary"]
    assert "exit code 3" in first["summary"]
    assert "crash-loop" not in status["findingIds"]
    assert {"id": "disk-slow", "needs": "views.blockIO"} in status["notJudged"]
    shown = namespace.kubectl("get", "tsess", "why")
    assert "FINDINGS" in shown
    assert "died-after-error" in shown

"""A session of a cluster beside an earlier one, and events about what is critical."""

import json

from kubectl import Namespace, until
from workloads import NODES, SHELL_IMAGE, pod

# Asks for a file that is not there, and ends for it, again and again.
CRASHES = "sleep 1; cat /etc/shop/config.yaml || exit 3"


def test_a_session_says_what_changed_since_another(namespace: Namespace) -> None:
    """In rates a second, so that a longer one shows as much; a baseline that is not there is told at once."""
    container = {
        "name": "app",
        "image": SHELL_IMAGE,
        "command": ["sh", "-c", "while :; do cat /etc/passwd >/dev/null; done"],
    }
    namespace.apply(pod("shop", "shop", container, nodeName=NODES[0]))
    namespace.kubectl("wait", "pod/shop", "--for=condition=Ready", "--timeout=60s")
    target = {"podName": "shop"}
    namespace.session("before", target, durationSeconds=6, views={"timeline": {"buckets": 6}}).finished()
    compared = namespace.session("after", target, durationSeconds=12, compareTo="before").finished()
    alone = namespace.session("alone", target, durationSeconds=3, compareTo="nowhere").finished()

    comparison = compared["comparison"]
    assert comparison["reason"] == "Compared"
    assert comparison["noise"]["known"]
    # Twice the time is twice the calls; another machine's load may be in it.
    assert 0.3 < comparison["total"]["callsRatio"] < 1.7
    assert comparison["newSince"] == comparison["goneSince"] == []
    assert [each.partition(" (")[0] for each in comparison["remarks"]] == ["Other views"]
    assert "Compared with before: calls" in compared["report"]
    assert alone["comparison"]["reason"] == "BaselineNotFound"
    assert alone["phase"] == "Succeeded"


def test_a_critical_finding_has_one_event(namespace: Namespace) -> None:
    """Beside that of the session's end."""
    container = {"name": "app", "image": SHELL_IMAGE, "command": ["sh", "-c", CRASHES]}
    session = namespace.session("why", {"podName": "shop"}, durationSeconds=20, views={"errors": {}})
    namespace.apply(pod("shop", "shop", container, nodeName=NODES[0], restartPolicy="Always"))
    critical = [each["id"] for each in session.finished()["findings"] if each["severity"] == "critical"]

    def told() -> list[str]:
        events = json.loads(namespace.kubectl("get", "events", "-o", "json"))["items"]
        return [each["message"].partition(":")[0] for each in events if each["reason"] == "CriticalFinding"]

    assert critical
    until(lambda: len(told()) >= len(critical), "an event for each critical finding")
    assert sorted(told()) == sorted(critical)

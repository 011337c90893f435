"""A real API server, asked by kubectl."""

import json
import secrets
import subprocess
import time
from dataclasses import dataclass, field
from typing import Any

import kubernetes


@dataclass
class Cluster:
    """A real API server, asked by kubectl; each test writes in a namespace of its own."""

    namespace: str = field(default_factory=lambda: f"chart-{secrets.token_hex(3)}")

    def run(self, *arguments: str, document: object = None) -> subprocess.CompletedProcess[str]:
        """Run kubectl in the test's namespace; a document goes to its standard input."""
        given = None if document is None else _text(document)
        command = ["kubectl", "--namespace", self.namespace, *arguments]
        return subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=60)

    def ask(self, *arguments: str, document: object = None) -> str:
        """Run kubectl and return what it prints; the test fails when kubectl does."""
        done = self.run(*arguments, document=document)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def ask_until(self, *arguments: str, timeout_seconds: float) -> str:
        """As ask, again and again while it fails."""
        deadline = time.monotonic() + timeout_seconds
        while self.run(*arguments).returncode and time.monotonic() < deadline:
            time.sleep(0.2)
        return self.ask(*arguments)

    def refusal(self, *arguments: str, document: object = None) -> str:
        """Run kubectl and return its complaint; the test fails when there is none."""
        done = self.run(*arguments, document=document)
        assert done.returncode != 0, f"kubectl {' '.join(arguments)} was not refused: {done.stdout}"
        return done.stderr

    def table_of_status(self, plural: str, name: str, status: object) -> dict[str, Any]:
        """Return the Table that `kubectl get` would print of an object with this status, without writing it.

        A dry run answers with the object as it would be, and as a Table when asked for one; so an operator that runs
        in the cluster cannot come between.
        """
        client = kubernetes.config.new_client_from_config()
        request = client.param_serialize(
            "PATCH",
            f"/apis/kubestrace.io/v1alpha1/namespaces/{self.namespace}/{plural}/{name}/status",
            query_params=[("dryRun", "All")],
            header_params={
                "Accept": "application/json;as=Table;v=v1;g=meta.k8s.io",
                "Content-Type": "application/merge-patch+json",
            },
            body={"status": status},
            auth_settings=["BearerToken"],
        )
        return json.loads(client.call_api(*request).read())


def _text(document: object) -> str:
    """Return a document, or several, as JSON: YAML has words such as `y` and `on` that mean something else."""
    items = document if isinstance(document, list) else [document]
    return "\n---\n".join(map(json.dumps, items))

"""kubectl and helm as a person types them, with their answers as values."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

Document = dict[str, Any]


class CommandError(AssertionError):
    """A command ended with an error; the text is what it printed."""


def run(*words: str, given: str | None = None, timeout_seconds: float = 120) -> str:
    """Run a command and return what it printed; CommandError with its error text when it fails."""
    done = subprocess.run(words, input=given, capture_output=True, text=True, timeout=timeout_seconds, check=False)
    if done.returncode:
        raise CommandError(f"{' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def until(check: Callable[[], Any], what: str, timeout_seconds: float = 60, every_seconds: float = 0.25) -> Any:
    """Return the first true answer of check; an AssertionError that names what was awaited when time is over."""
    deadline = time.monotonic() + timeout_seconds
    while not (answer := check()):
        assert time.monotonic() < deadline, f"not within {timeout_seconds} s: {what}"
        time.sleep(every_seconds)
    return answer


@dataclass(frozen=True)
class Namespace:
    """One test's own namespace."""

    name: str

    def kubectl(self, *words: str, given: str | None = None) -> str:
        """Run kubectl in this namespace."""
        return run("kubectl", "-n", self.name, *words, given=given)

    def get(self, kind: str, name: str) -> Document:
        """Return one object as JSON has it."""
        document: Document = json.loads(self.kubectl("get", kind, name, "-o", "json"))
        return document

    def apply(self, *documents: Document) -> None:
        """Apply objects the way a person's file would be."""
        self.kubectl("apply", "-f", "-", given=json.dumps({"apiVersion": "v1", "kind": "List", "items": documents}))

    def session(self, name: str, target: Document, **spec: Any) -> "Session":
        """Apply a TraceSession and return it."""
        self.apply(
            {
                "apiVersion": "kubestrace.io/v1alpha1",
                "kind": "TraceSession",
                "metadata": {"name": name},
                "spec": {"target": target, **spec},
            }
        )
        return Session(self, name)

    def pods_ready(self, selector: str) -> None:
        """Wait until every pod of the selector is Ready."""
        self.kubectl("wait", "pod", "-l", selector, "--for=condition=Ready", "--timeout=60s")


@contextmanager
def fresh_namespace(name: str) -> Iterator[Namespace]:
    """Make a namespace and delete it afterwards."""
    # A run that was ended may have left it, or its deletion may not have finished.
    run("kubectl", "delete", "namespace", name, "--ignore-not-found", "--timeout=90s")
    run("kubectl", "create", "namespace", name)
    # No pod is admitted before; after a restart of the API server its controllers need some time.
    run("kubectl", "-n", name, "wait", "--for=create", "serviceaccount/default", "--timeout=60s")
    try:
        yield Namespace(name)
    finally:
        run("kubectl", "delete", "namespace", name, "--wait=false")


@dataclass(frozen=True)
class Session:
    """A TraceSession in the cluster."""

    namespace: Namespace
    name: str

    @property
    def document(self) -> Document:
        """The whole object."""
        return self.namespace.get("tracesession", self.name)

    @property
    def status(self) -> Document:
        """Its status as it is now."""
        status: Document = self.document.get("status", {})
        return status

    def condition(self, kind: str) -> Document:
        """One condition, empty when it is not there."""
        return next((entry for entry in self.status.get("conditions", []) if entry["type"] == kind), {})

    def tracing(self, timeout_seconds: float = 30) -> "Session":
        """Wait until the phase is Tracing, with every pod: a node that is slow to start may follow later."""
        try:
            until(lambda: _traces_all(self.status), f"{self.name} is Tracing all its pods", timeout_seconds)
        except AssertionError as error:
            shown = {name: self.status.get(name) for name in ("phase", "targets", "failures", "conditions")}
            raise AssertionError(f"{error}; it is {shown}") from error
        return self

    def finished(self, timeout_seconds: float = 90) -> Document:
        """Wait for the condition Finished as a script would and return the status."""
        self.namespace.kubectl(
            "wait", f"tracesession/{self.name}", "--for=condition=Finished", f"--timeout={timeout_seconds:.0f}s"
        )
        return self.status

    def rows(self) -> dict[str, Document]:
        """Return the summary's rows by syscall name."""
        return {row["name"]: row for row in self.status["summary"]["syscalls"]}


def _traces_all(status: Document) -> bool:
    targets = status.get("targets", {})
    return status.get("phase") == "Tracing" and targets["tracing"] == targets["matched"] - targets["skipped"]

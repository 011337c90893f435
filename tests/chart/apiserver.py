"""A real API server, asked by kubectl."""

import secrets
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field

import yaml


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

    def refusal(self, *arguments: str, document: object = None) -> str:
        """Run kubectl and return its complaint; the test fails when there is none."""
        done = self.run(*arguments, document=document)
        assert done.returncode != 0, f"kubectl {' '.join(arguments)} was not refused: {done.stdout}"
        return done.stderr


def _text(document: object) -> str:
    many = isinstance(document, Sequence) and not isinstance(document, str)
    return document if isinstance(document, str) else yaml.safe_dump_all(document if many else [document])

"""What local mode writes is a resource that a cluster takes."""

from kubectl import Namespace, run


def test_a_cluster_takes_local_modes_document(namespace: Namespace) -> None:
    """The API server's strict validation has nothing to say against it."""
    document = run("kubestrace", "local", "-o", "json", "--", "true")

    answer = namespace.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", given=document)

    assert answer == "tracesession.kubestrace.io/local created (server dry run)\n"

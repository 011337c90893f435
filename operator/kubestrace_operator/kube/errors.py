"""What may go wrong with the API server; the type says whether trying again helps. Raised by cluster.py."""

from collections.abc import Callable


class ClusterError(Exception):
    """The API server did not do what was asked. Trying again may help: it is away, overloaded or not yet ready."""


# Who is told of what did not work yet.
Listener = Callable[[ClusterError], None]


class NotFoundError(ClusterError):
    """There is no such object. Trying again does not help."""


class ConflictError(ClusterError):
    """The object is there already, or was changed by somebody else meanwhile."""


class RejectedError(ClusterError):
    """The API server refuses this document. Trying again with the same one does not help."""


class ExpiredError(ClusterError):
    """The resource version of a watch is too old: list again."""

"""What may go wrong with the API server; the type says whether trying again helps. Raised by api_client.py."""

from collections.abc import Callable


class ClusterError(Exception):
    """The API server did not do what was asked. Trying again may help: it is away, overloaded or not yet ready."""


# Called with every error after which a request is tried again.
Listener = Callable[[ClusterError], None]


class NotFoundError(ClusterError):
    """There is no such object. Trying again does not help."""


class ConflictError(ClusterError):
    """The object exists already, or somebody else changed it meanwhile."""


class RejectedError(ClusterError):
    """The API server refuses this document. Trying again with the same one does not help."""


class ForbiddenError(ClusterError):
    """The API server does not allow this: a right is missing, a policy or a quota is against it."""


class ExpiredError(ClusterError):
    """The resource version of a watch or the token of a list is too old: list again."""


class NotLeadingError(ClusterError):
    """This operator may not write now, so nothing was sent. Trying again helps when it leads again."""


class ConfigurationError(Exception):
    """There is no cluster to connect to; the message says what was looked for."""

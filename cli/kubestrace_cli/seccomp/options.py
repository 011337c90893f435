"""The words of `kubestrace seccomp`. Used by local.options, which reads the command line."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubestrace_operator.seccomp.profile import ACTIONS, FORMATS

NAME = "seccomp"
STANDARD_INPUT = "-"
# What is always a session, also where a file has its name.
SESSION_PREFIX = "tsess/"
_FILE_ENDINGS = (".json", ".yaml", ".yml")

_EPILOG = """\
What to read (any number, in any order; the profile allows what any of them saw):
  SESSION           a TraceSession of the cluster, read by kubectl with your kubeconfig; tsess/SESSION where a file has
                    that name, too
  FILE              the output of `kubestrace local -o json` or of `kubectl get tsess -o json` (one or a list; YAML is
                    read as well); what has a / or ends in .json or .yaml, and what is a file here; - is standard input

The profile goes to standard output. Standard error says what it rests on: how many pods, whether their starts were
traced, when the last new call appeared, what was added for the container runtime, and what may be missing.

Exit codes: 0 a profile was written; 1 none can be made of these sessions (the message says why); 2 wrong usage.

Examples:
  kubestrace local -o json --to run.json -- ./server.test && kubestrace seccomp run.json > server.json
  kubestrace seccomp -n shop checkout-1 checkout-2 > checkout.json
  kubestrace seccomp -n shop checkout-1 --format profile --default-action log | kubectl apply -f -
"""


@dataclass(frozen=True)
class Options:
    """What `kubestrace seccomp` was asked for."""

    sessions: tuple[str, ...]
    paths: tuple[str, ...]
    namespace: str | None
    format: str
    default_action: str


def add_parser(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command to those of the program."""
    parser = commands.add_parser(
        NAME,
        help="make a seccomp profile of what sessions have seen",
        description="Makes a seccomp profile that allows the system calls that sessions have seen, and no others.",
        usage="kubestrace seccomp SESSION...|FILE... [-n NAMESPACE]\n"
        "                          [--format oci|profile] [--default-action log|errno]",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("source", nargs="+", type=_source, metavar="SESSION|FILE", help="what to read, see below")
    parser.add_argument(
        "-n", "--namespace", type=_source, metavar="NAMESPACE",
        help="where the sessions are (default: that of kubectl's context)",
    )  # fmt: skip
    parser.add_argument(
        "--format", choices=FORMATS, default="oci",
        help="oci: JSON, as kubelet's localhostProfile, docker and podman read it; profile: a SeccompProfile of the "
        "security-profiles-operator as YAML (default: oci)",
    )  # fmt: skip
    parser.add_argument(
        "--default-action", choices=tuple(ACTIONS), default="errno",
        help="what happens to all other calls: errno, they fail with EPERM; log, they go on and the node's audit log "
        "names them, to try a profile (default: errno)",
    )  # fmt: skip


def checked(options: argparse.Namespace) -> Options:
    """Return what was asked for."""
    paths = [source for source in options.source if _is_file(source)]
    return Options(
        sessions=tuple(each.removeprefix(SESSION_PREFIX) for each in options.source if each not in paths),
        paths=tuple(paths),
        namespace=options.namespace,
        format=options.format,
        default_action=options.default_action,
    )


def _is_file(source: str) -> bool:
    if source.startswith(SESSION_PREFIX):
        return False
    return source == STANDARD_INPUT or "/" in source or source.endswith(_FILE_ENDINGS) or Path(source).is_file()


def _source(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("must not be empty")
    return text

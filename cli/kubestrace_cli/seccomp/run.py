"""`kubestrace seccomp`: reads sessions, writes their profile, and says on standard error what it rests on."""

import json
import os
import sys

from kubestrace_cli.seccomp import reading
from kubestrace_cli.seccomp.options import STANDARD_INPUT, Options
from kubestrace_operator.seccomp import profile
from kubestrace_operator.seccomp.seen import Seen, UnusableError, sessions, union

_NO_PROFILE = 1


def run(options: Options) -> int:
    """Write the profile; returns the exit code."""
    try:
        seen = union(_seen(options))
        _write(_text(seen, options))
    except (reading.ReadingError, UnusableError) as error:
        print(f"kubestrace seccomp: {error}", file=sys.stderr)
        return _NO_PROFILE
    for remark in profile.remarks(seen, options.default_action):
        print(f"kubestrace seccomp: {remark}", file=sys.stderr)
    return 0


def _seen(options: Options) -> list[Seen]:
    found = []
    for path in dict.fromkeys(options.paths):
        place = "standard input" if path == STANDARD_INPUT else path
        found += [each for document in reading.file(path) for each in sessions(document, place)]
    if options.sessions:
        found += sessions(reading.cluster(options.sessions, options.namespace), "the cluster")
    if not any(each.calls for each in found):
        doubts = sorted(doubt for each in found for doubt in each.doubts)
        raise UnusableError(
            "; ".join(["no system call was seen: trace the program at work, best from its start", *doubts])
        )
    return found


def _text(seen: Seen, options: Options) -> str:
    if options.format == "oci":
        return json.dumps(profile.oci(seen, options.default_action), indent=2) + "\n"
    metadata = {"name": profile.named(seen.sessions)}
    if options.namespace:
        metadata["namespace"] = options.namespace
    return profile.resource(seen, options.default_action, metadata)


def _write(text: str) -> None:
    if sys.stdout is None:
        raise reading.ReadingError("cannot write the profile: standard output is closed")
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        # What is left in Python's buffer is written once more at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            raise reading.ReadingError(f"cannot write the profile: {error.strerror}") from error

"""The words on the command line, and what they mean."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# As the TraceSession's schema has them.
MAX_DURATION_SECONDS = 3600
MAX_BUCKETS = 240
DEFAULT_DURATION_SECONDS = 30
MAX_SLOW_MILLISECONDS = 60_000
MAX_PROCESSES = 100
DEFAULT_PROCESSES = 20
MAX_ERROR_SAMPLES = 10
DEFAULT_ERROR_SAMPLES = 3

_EPILOG = """\
What to trace (exactly one):
  --pid P           a running process: its threads, and the children that it starts from now on
  --cgroup PATH     every process in a cgroup and below; absolute, or from the cgroup root on
  --container ID    a container of this machine by its id or the beginning of it (crictl ps, docker ps)
  -- COMMAND ...    a program, from its first call to its last, with all that it starts; it runs in a cgroup of
                    its own, keeps its input and output, and gets the signals that are sent to kubestrace

The trace ends when the duration is over, with COMMAND or the process of --pid, or by Ctrl-C, which prints what was
counted until then. A COMMAND that is still running when a given duration is over runs on; kubestrace then prints,
waits for it and passes on its exit code. Without -d and -f, COMMAND is traced until it ends, everything else for
30 seconds.

The result goes to standard output when the trace has ended, or into the file of --to. Messages and progress go to
standard error; progress is shown when that is a terminal that no COMMAND shares.

Exit codes: COMMAND's own (128 + N when signal N killed it; 127 not found, 126 cannot be executed); otherwise 0 when
something was traced, 1 when tracing is not possible here (the message says why and what to do), 2 wrong usage.

Examples:
  kubestrace local -- make -j4
  kubestrace local --pid 4711 -d 10
  kubestrace local -e '%file,%network,!stat' -- python3 app.py
  kubestrace local --slow 10 --stacks --pid 4711
  kubestrace local --cpu-time --pid 4711
  kubestrace local --container 3f4e19a2 -o json --to result.json
  kubestrace local -f session.yaml --cgroup system.slice/nginx.service
"""


class UsageError(Exception):
    """The command line makes no sense; the message says what would."""


@dataclass(frozen=True)
class Options:
    """What `kubestrace local` was asked for."""

    session_file: Path | None  # "-": standard input
    output: str  # table, yaml, json
    to: Path | None  # None: standard output
    duration_seconds: int | None  # None: as the session says
    syscalls: tuple[str, ...] | None  # None: as the session says
    slow_milliseconds: int | None = None  # None: as the session says
    stacks: bool = False  # also where the session does not say so
    pid: int | None = None
    cgroup: str | None = None
    container: str | None = None
    command: tuple[str, ...] = ()
    timeline: int | None = None  # buckets; None: as the session says
    processes: int | None = None  # how many; None: as the session says
    errors: int | None = None  # samples of each; None: as the session says
    cpu_time: bool = False  # as the session says otherwise

    @property
    def target(self) -> dict[str, object]:
        """Return the target as the result's annotation shows it."""
        if self.command:
            return {"command": list(self.command)}
        return {
            name: value
            for name, value in (("pid", self.pid), ("cgroup", self.cgroup), ("containerID", self.container))
            if value is not None
        }


def parse(words: Sequence[str]) -> Options:
    """Read the command line without the program's name.

    Ends the program (argparse's way) after --help and --version with 0, and with 2 when the words are wrong.
    """
    # COMMAND's words are its own, whatever they look like.
    ours, theirs = _split(list(words))
    program, local = _parsers()
    options, unknown = program.parse_known_args(ours)
    if options.subcommand is None:
        program.error("say what to do: kubestrace local --help")
    try:
        return _checked(options, unknown, theirs)
    except UsageError as error:
        local.error(str(error))


def _split(words: list[str]) -> tuple[list[str], list[str] | None]:
    if "--" not in words:
        return words, None
    at = words.index("--")
    return words[:at], words[at + 1 :]


def _parsers() -> tuple[argparse.ArgumentParser, argparse.ArgumentParser]:
    program = argparse.ArgumentParser(
        prog="kubestrace",
        description="strace for pods: which system calls are made, which fail, which are slow. "
        "In a cluster: kubectl apply a TraceSession. Here, without one: kubestrace local.",
        allow_abbrev=False,
    )
    program.add_argument("--version", action=_Version, help="print the version and end")
    local = program.add_subparsers(title="commands", dest="subcommand", metavar="COMMAND").add_parser(
        "local",
        help="trace a program, process, cgroup or container of this machine",
        description="Counts and times the system calls of one program, process, cgroup or container of this machine, "
        "exactly, in the kernel: the same engine and the same result as a TraceSession in a cluster. Needs root.",
        usage="kubestrace local [-f SESSION.yaml] [-d SECONDS] [-e SYSCALLS] [--slow MILLISECONDS [--stacks]]\n"
        "                        [--timeline N] [--processes [N]] [--errors [N]] [--cpu-time]\n"
        "                        [-o table|yaml|json] [--to FILE]\n"
        "                        (--pid P | --cgroup PATH | --container ID | -- COMMAND ...)",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_session_arguments(local)
    _add_result_arguments(local)
    target = local.add_argument_group("what to trace").add_mutually_exclusive_group()
    target.add_argument("-p", "--pid", type=_pid, metavar="P", help="a process id as this machine sees it")
    target.add_argument("--cgroup", type=_not_empty, metavar="PATH", help="a cgroup v2 folder")
    target.add_argument("--container", type=_not_empty, metavar="ID", help="a container id, or the beginning of one")
    return program, local


def _add_session_arguments(local: argparse.ArgumentParser) -> None:
    session = local.add_argument_group("the session")
    session.add_argument(
        "-f", "--file", type=Path, metavar="SESSION.yaml",
        help="a TraceSession (-: from standard input): its durationSeconds, syscalls and views hold, its "
        "metadata is kept; its target is replaced by what the command line names",
    )  # fmt: skip
    session.add_argument(
        "-d", "--duration", type=_duration, metavar="SECONDS",
        help=f"seconds, 1 to {MAX_DURATION_SECONDS} (default: the session's, else until COMMAND ends, "
        f"else {DEFAULT_DURATION_SECONDS})",
    )  # fmt: skip
    session.add_argument(
        "-e", "--syscalls", type=_syscalls, metavar="SYSCALLS",
        help="only these system calls, in strace's words, separated by commas: names, classes (%%file, %%network), "
        "/regular expressions, !exclusions (default: the session's, else all)",
    )  # fmt: skip
    session.add_argument(
        "--slow", type=_slow, metavar="MILLISECONDS",
        help="list the slowest calls that took at least so long, with their arguments, as strace -T with a bound "
        f"would, 1 to {MAX_SLOW_MILLISECONDS} (default: the session's slowCalls view, else no list)",
    )  # fmt: skip
    session.add_argument(
        "--stacks", action="store_true",
        help="with each slow call, where in the kernel it waited longest and which functions made it",
    )  # fmt: skip
    session.add_argument(
        "--timeline", type=_buckets, metavar="N",
        help=f"also count by time, in N equal parts of the duration, 1 to {MAX_BUCKETS}, none shorter than 100 ms; "
        "without a duration, in up to N parts of 100 ms, 200 ms, 400 ms ..., as long as COMMAND needs",
    )  # fmt: skip
    session.add_argument(
        "--processes", type=_processes, nargs="?", const=DEFAULT_PROCESSES, metavar="N",
        help="also count by process and thread, as strace -f -c for each, with what was executed and how it ended: the "
        f"N processes with the most time, 1 to {MAX_PROCESSES} ({DEFAULT_PROCESSES} without N)",
    )  # fmt: skip
    session.add_argument(
        "--cpu-time", action="store_true",
        help="also say where the time of all threads went: on a CPU in the program and in each call, waiting in calls, "
        "or ready to run without a CPU (default: as the session's cpuTime view says)",
    )  # fmt: skip
    session.add_argument(
        "--errors", type=_error_samples, nargs="?", const=DEFAULT_ERROR_SAMPLES, metavar="N",
        help="say of each error when it was first and last, and show up to N calls that failed so, with different "
        f"arguments: which file is missing; 1 to {MAX_ERROR_SAMPLES} ({DEFAULT_ERROR_SAMPLES} without N)",
    )  # fmt: skip


def _add_result_arguments(local: argparse.ArgumentParser) -> None:
    result = local.add_argument_group("the result")
    result.add_argument(
        "-o", "--output", choices=("table", "yaml", "json"), default="table",
        help="a table to read, or the whole TraceSession with its status as a cluster would hold it (default: table)",
    )  # fmt: skip
    result.add_argument(
        "--to", type=_result_file, metavar="FILE", help="write the result to FILE (default, and -: standard output)"
    )


def _checked(options: argparse.Namespace, unknown: Sequence[str], command: list[str] | None) -> Options:
    if unknown:
        hint = "" if command is not None or unknown[0].startswith("-") else " (put -- before COMMAND)"
        raise UsageError(f"unknown words: {' '.join(unknown)}{hint}")
    named = options.pid is not None or options.cgroup is not None or options.container is not None
    if command is not None and not command:
        raise UsageError("no COMMAND after --")
    if named and command:
        raise UsageError("name one thing to trace: --pid, --cgroup, --container or -- COMMAND")
    if not named and not command:
        raise UsageError("say what to trace: --pid P, --cgroup PATH, --container ID or -- COMMAND ...")
    return Options(
        session_file=options.file,
        output=options.output,
        to=options.to,
        duration_seconds=options.duration,
        syscalls=options.syscalls,
        slow_milliseconds=options.slow,
        stacks=options.stacks,
        pid=options.pid,
        cgroup=options.cgroup,
        container=options.container,
        command=tuple(command or ()),
        timeline=options.timeline,
        processes=options.processes,
        errors=options.errors,
        cpu_time=options.cpu_time,
    )


class _Version(argparse.Action):
    """Looks the version up only when it is asked for."""

    def __init__(self, option_strings: Sequence[str], dest: str, **others: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help=others.get("help"))

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        # Reading it costs 20 ms, which every other use would pay.
        from importlib import metadata  # noqa: PLC0415

        print(f"kubestrace {metadata.version('kubestrace')}")
        parser.exit()


def _pid(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no process id")
    return int(text)


def _result_file(text: str) -> Path | None:
    return None if text == "-" else Path(text)


def _not_empty(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("must not be empty")
    return text


def _duration(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_DURATION_SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r}: whole seconds from 1 to {MAX_DURATION_SECONDS}")
    return int(text)


def _slow(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_SLOW_MILLISECONDS:
        raise argparse.ArgumentTypeError(f"{text!r}: whole milliseconds from 1 to {MAX_SLOW_MILLISECONDS}")
    return int(text)


def _buckets(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_BUCKETS:
        raise argparse.ArgumentTypeError(f"{text!r}: a whole number from 1 to {MAX_BUCKETS}")
    return int(text)


def _processes(text: str) -> int:
    return _up_to(MAX_PROCESSES, text)


def _error_samples(text: str) -> int:
    return _up_to(MAX_ERROR_SAMPLES, text)


def _up_to(most: int, text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"{text!r}: a whole number from 1 to {most}")
    return int(text)


def _syscalls(text: str) -> tuple[str, ...]:
    """Read strace's -e: [trace=|t=][!]NAME,NAME...; a leading ! there excludes every name of the list."""
    for qualifier in ("trace=", "t="):
        text = text.removeprefix(qualifier)
    names = [name.strip() for name in text.split(",")]
    if not all(names) or "!" in names:
        raise argparse.ArgumentTypeError(f"{text!r}: names separated by commas, such as openat,%network,!stat")
    if names[0].startswith("!"):
        names = [name if name.startswith("!") else f"!{name}" for name in names]
    return tuple(names)

"""The words on the command line, and what they mean. The flags of views are the views' own."""

import argparse
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from kubestrace_operator.api.spec import DEFAULT_DURATION_SECONDS
from kubestrace_operator.views.profiles import DEFAULT, Profile
from kubestrace_operator.views.registry import CHOOSABLE, PROFILES, VIEWS
from kubestrace_operator.views.view import Flag
from kubestrace_protos.v1.limits import MAX_DURATION_SECONDS

# In the place of the names of all views.
_ALL = "all"
_EPILOG = """\
What to trace (exactly one):
  -p, --pid P       a running process: its threads, and the children that it starts from now on; with
                    --with-children also those that it has, and theirs; not those whose parent has ended (/proc no
                    longer says whose they were), nor what it and they did before
  --cgroup PATH     every process in a cgroup and below; absolute, or relative to the cgroup root
  --container ID    a container of this machine by its id or the beginning of it (crictl ps, docker ps)
  -- COMMAND ...    a program, from its first call to its last, with all that it starts; it runs in a cgroup of
                    its own, keeps its input and output, and gets the signals that are sent to kubestrace. What is
                    moved to another cgroup (systemd-run, docker run) is not counted there: the result names it

The trace ends when the duration is over, with COMMAND or the process of --pid, or by Ctrl-C, which prints what was
counted until then. A COMMAND that is still running when a given duration is over continues; kubestrace then prints,
waits for it and passes on its exit code. Without -d and -f, COMMAND is traced until it ends, everything else for
30 seconds. With --until-empty the trace goes on until the last process that COMMAND left behind has ended, such as a
service that goes to the background; once COMMAND itself has ended, Ctrl-C ends the trace.

The result goes to standard output when the trace has ended, or into the file of --to. Messages and progress go to
standard error; progress is shown when that is a terminal that no COMMAND shares.

Exit codes: COMMAND's own (128 + N when signal N killed it; 127 not found, 126 cannot be executed); otherwise 0 when
something was traced, 1 when tracing is not possible here (the message says why and what to do), 2 wrong usage.

Examples:
  kubestrace local -- make -j4
  kubestrace local --pid 4711 -d 10
  kubestrace local --pid 4711 -d 10 --compare yesterday.json
  kubestrace local -e '%file,%network,!stat' -- python3 app.py
{views}  kubestrace local --container 3f4e19a2 -o json --to result.json
  kubestrace local -f session.yaml --cgroup system.slice/nginx.service
"""


class UsageError(Exception):
    """The command line is wrong; the message says what would be right."""


@dataclass(frozen=True)
class Options:
    """What `kubestrace local` was asked for."""

    session_file: Path | None  # "-": standard input
    output: str  # table, yaml, json, folded
    to: Path | None  # None: standard output
    duration_seconds: int | None  # None: as the session says
    syscalls: tuple[str, ...] | None  # None: as the session says
    pid: int | None = None
    cgroup: str | None = None
    container: str | None = None
    command: tuple[str, ...] = ()
    # Trace until the last process that COMMAND left has ended.
    until_empty: bool = False
    # An earlier result; None: compared with nothing.
    compare: Path | None = None
    # Of --pid, also the children that are there.
    with_children: bool = False
    profile: Profile | None = None  # None: as the session says
    # Patterns beside the session's.
    redact: tuple[str, ...] = ()
    # What flags ask of views, by the view's name, as a spec has it; all else is as the session says.
    views: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

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


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line: argparse's own would stand below a block of usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def parse(words: Sequence[str]) -> Options:
    """Read the command line without the program's name.

    Ends the program (argparse's way) after --help and --version with 0, and with 2 when the words are wrong.
    """
    # COMMAND's words are its own, whatever they look like.
    ours, theirs = _split(list(words))
    program, local = _parsers()
    options, unknown = program.parse_known_args(ours)
    if options.subcommand is None:
        program.error("name a command, such as kubestrace local")
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
    program = _Parser(
        prog="kubestrace",
        description="strace for pods: which system calls are made, which fail, which are slow. "
        "In a cluster: kubectl apply a TraceSession. Here, without one: kubestrace local.",
        allow_abbrev=False,
    )
    program.add_argument("--version", action=_Version, help="print the version and exit")
    local = program.add_subparsers(title="commands", dest="subcommand", metavar="COMMAND").add_parser(
        "local",
        help="trace a program, process, cgroup or container of this machine",
        description="Counts and times the system calls of one program, process, cgroup or container of this machine, "
        "exactly,\nin the kernel: the same engine and the same result as a TraceSession in a cluster. Needs root.",
        usage=_usage(),
        epilog=_EPILOG.format(views="".join(f"  kubestrace local {each.example}\n" for each in VIEWS if each.example)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_session_arguments(local)
    _add_result_arguments(local)
    target = local.add_argument_group("what to trace").add_mutually_exclusive_group()
    target.add_argument("-p", "--pid", type=_pid, metavar="P", help="a process ID as this machine sees it")
    target.add_argument("--cgroup", type=_not_empty, metavar="PATH", help="a cgroup v2 folder")
    target.add_argument("--container", type=_not_empty, metavar="ID", help="a container ID, or the beginning of one")
    local.add_argument(
        "--until-empty", action="store_true", help="go on until the last process that COMMAND left behind has ended"
    )
    local.add_argument(
        "--with-children", action="store_true", help="with --pid: also the children that it has now, and theirs"
    )
    return program, local


def _usage() -> str:
    """Return the usage with the flags of all views."""
    flags = " ".join(f"[{flag.usage}]".replace(" ", "\0") for view in VIEWS for flag in view.flags)
    session = "[-f\0SESSION.yaml] [-d\0SECONDS] [-e\0SYSCALLS] [--profile\0NAME] [--views\0NAMES] [--redact\0PATTERN]"
    lines = textwrap.wrap(f"{session} {flags}", 90, break_on_hyphens=False)
    lines += [
        "[-o table|yaml|json] [--compare FILE] [--to FILE]",
        "(-p P [--with-children] | --cgroup PATH | --container ID | [--until-empty] -- COMMAND ...)",
    ]
    return "kubestrace local " + "\n                        ".join(lines).replace("\0", " ")


def _add_session_arguments(local: argparse.ArgumentParser) -> None:
    session = local.add_argument_group("the session")
    session.add_argument(
        "-f", "--file", type=_session_file, metavar="SESSION.yaml",
        help="a TraceSession (-: from standard input): its durationSeconds, syscalls, profile, redact and views apply "
        "unless a flag says otherwise, its metadata is kept; its target is replaced by what the command line names",
    )  # fmt: skip
    session.add_argument(
        "-d", "--duration", type=_number(1, MAX_DURATION_SECONDS, "whole seconds"), metavar="SECONDS",
        help=f"seconds, 1 to {MAX_DURATION_SECONDS} (default: the session's, else until COMMAND ends, "
        f"else {DEFAULT_DURATION_SECONDS})",
    )  # fmt: skip
    session.add_argument(
        "-e", "--syscalls", type=_syscalls, metavar="SYSCALLS",
        help="only these system calls, in strace's words, separated by commas: names, classes (%%file, %%network), "
        "/regular expressions, !exclusions (default: the session's, else all)",
    )  # fmt: skip
    session.add_argument(
        "--profile", type=_profile, metavar="NAME",
        help=f"a set of views: {', '.join(PROFILES)} (default: the session's, else {DEFAULT}); --views and the flags "
        "below add to it",
    )  # fmt: skip
    session.add_argument(
        "--views", type=_views, default=(), metavar="NAMES",
        help=f"also these views, with their defaults, separated by commas, or {_ALL}: "
        f"{', '.join(view.name for view in CHOOSABLE)}",
    )  # fmt: skip
    session.add_argument(
        "--redact", action="append", default=[], metavar="PATTERN",
        help="show no paths, peers and texts that fit PATTERN, in which * stands for any characters ('*/secrets/*'); "
        "may be given more than once, and adds to the session's",
    )  # fmt: skip
    for view in VIEWS:
        for flag in view.flags:
            _add_flag(session, view.name, flag)


def _add_flag(group: argparse._ArgumentGroup, view: str, flag: Flag) -> None:
    place = _place(view, flag)
    if not flag.metavar:
        group.add_argument(flag.words, dest=place, action="store_const", const=flag.value, help=flag.help)
        return
    optional: dict[str, Any] = {} if flag.default is None else {"nargs": "?", "const": flag.default}
    number = _number(*flag.bounds, flag.unit)
    group.add_argument(flag.words, dest=place, type=number, metavar=flag.metavar, help=flag.help, **optional)


def _place(view: str, flag: Flag) -> str:
    return f"{view}.{flag.field}"


def _of_views(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Return what flags ask of views."""
    asked: dict[str, dict[str, Any]] = {name: {"enabled": True} for name in options.views}
    for view in VIEWS:
        for flag in view.flags:
            value = getattr(options, _place(view.name, flag))
            if value is not None:
                asked.setdefault(view.name, {}).update({flag.field: value} if flag.field else {})
    return asked


def _add_result_arguments(local: argparse.ArgumentParser) -> None:
    result = local.add_argument_group("the result")
    result.add_argument(
        "-o", "--output", choices=("table", "yaml", "json", "folded"), default="table",
        help="a table to read; the whole TraceSession with its status as a cluster would hold it; or the stacks of "
        "--callers, folded for flame graphs (default: table)",
    )  # fmt: skip
    result.add_argument(
        "--compare", type=_compared_file, metavar="FILE",
        help="say what changed since an earlier result: FILE holds what kubestrace local -o json, or kubectl get tsess "
        "NAME -o json, wrote",
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
    if options.until_empty and not command:
        raise UsageError("--until-empty needs -- COMMAND: all else ends with its last process anyway")
    if options.with_children and options.pid is None:
        raise UsageError("--with-children needs --pid: a cgroup, a container and COMMAND have all their children")
    return Options(
        session_file=options.file,
        output=options.output,
        to=options.to,
        compare=options.compare,
        duration_seconds=options.duration,
        syscalls=options.syscalls,
        pid=options.pid,
        cgroup=options.cgroup,
        container=options.container,
        command=tuple(command or ()),
        until_empty=options.until_empty,
        with_children=options.with_children,
        profile=options.profile,
        redact=tuple(options.redact),
        views=_of_views(options),
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
        raise argparse.ArgumentTypeError(f"{text!r} is not a process ID")
    return int(text)


def _session_file(text: str) -> Path:
    return Path(_not_empty(text))


def _compared_file(text: str) -> Path:
    return Path(_not_empty(text))


def _result_file(text: str) -> Path | None:
    return None if text == "-" else Path(_not_empty(text))


def _not_empty(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("must not be empty")
    return text


def _number(least: int, most: int, unit: str) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"must be {unit} from {least} to {most}, not {text!r}")
        return int(text)

    return number


def _profile(text: str) -> Profile:
    return Profile(_known(text, PROFILES, "a profile"))


def _views(text: str) -> tuple[str, ...]:
    """Read names of views; all of them for _ALL."""
    known = [view.name for view in CHOOSABLE]
    names = [_known(name.strip(), [*known, _ALL], "a view") for name in text.split(",")]
    return tuple(known if _ALL in names else dict.fromkeys(names))


def _known(text: str, names: Sequence[str], what: str) -> str:
    """Return the name that is meant, in whatever case it is written."""
    found = next((name for name in names if name.casefold() == text.casefold()), None)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}; there are {', '.join(names)}")
    return found


def _syscalls(text: str) -> tuple[str, ...]:
    """Read strace's -e: [trace=|t=][!]NAME,NAME...; a leading ! there excludes every name of the list."""
    for qualifier in ("trace=", "t="):
        text = text.removeprefix(qualifier)
    names = [name.strip() for name in text.split(",")]
    if not all(names) or "!" in names:
        raise argparse.ArgumentTypeError(
            f"must be names separated by commas, such as openat,%network,!stat; not {text!r}"
        )
    if names[0].startswith("!"):
        names = [name if name.startswith("!") else f"!{name}" for name in names]
    return tuple(names)

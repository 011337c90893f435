"""`kubestrace local`: the agent's engine and the operator's merge and status, put together without a cluster.

One target, one slot of the tracer, one final report. Imports neither kopf nor kubernetes nor grpc.
"""

import contextlib
import dataclasses
import errno
import os
import platform
import signal
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from kubestrace_agent import syscalls
from kubestrace_agent.containers import cgroups, procfs
from kubestrace_agent.kernel.counters.tracer import NodeFullError, Tracer, UnsupportedKernelError
from kubestrace_agent.kernel.loader import kept
from kubestrace_agent.kernel.loader.probe import TOO_MANY_FILES
from kubestrace_agent.text import utf8
from kubestrace_agent.views import loading
from kubestrace_agent.views import registry as agent_views
from kubestrace_agent.views.redaction import Redaction
from kubestrace_agent.views.secret_words import HIDDEN
from kubestrace_cli.local import endings, launch, scopes, targets, waits
from kubestrace_cli.local.commands import ENDING_SIGNALS, Command
from kubestrace_cli.local.options import Options, UsageError
from kubestrace_cli.local.progress import Progress
from kubestrace_cli.local.recordings import Recording
from kubestrace_cli.local.signals import Signals
from kubestrace_cli.output import results
from kubestrace_cli.session_file import baselines, sessions
from kubestrace_operator.views import registry
from kubestrace_operator.views.view import Span
from kubestrace_protos.v1 import agent_pb2

USAGE = 2
CANNOT_TRACE = 1
# Processes that are named in a sentence.
_MOST_NAMES = 5


def run(options: Options) -> int:
    """Trace and write the result; returns the exit code."""
    try:
        return _Local(options).run()
    except launch.CommandError as error:
        return _refuse(error, error.exit_code)
    except (UsageError, sessions.SessionFileError, syscalls.SyscallPatternError) as error:
        return _refuse(error, USAGE)
    except (
        cgroups.UnsupportedCgroupsError,
        NodeFullError,
        results.ResultFileError,
        scopes.ScopeError,
        targets.TargetError,
    ) as error:
        return _refuse(error, CANNOT_TRACE)
    except UnsupportedKernelError as error:
        as_root = "" if os.geteuid() == 0 else " Run kubestrace as root (sudo)."
        return _refuse(f"{error}{as_root}", CANNOT_TRACE)
    except OSError as error:
        if error.errno != errno.EMFILE:
            raise
        return _refuse(TOO_MANY_FILES, CANNOT_TRACE)


def _named(target: targets.Target, command: str, redaction: Redaction) -> targets.Target:
    """Return the target of a COMMAND, whose name is that of its file."""
    hidden = redaction.hides(bytes(_folder() / command))
    return dataclasses.replace(target, name=HIDDEN) if hidden else target


def _folder() -> Path:
    """Return where we were started: it may be gone."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return Path("/")


def _shown(traced: Mapping[str, Any], redaction: Redaction) -> Mapping[str, Any]:
    """Return what the command line named as the result shows it."""
    if "command" not in traced:
        return traced
    program, *words = map(os.fsencode, traced["command"])
    # One without a folder is looked for in PATH.
    program = redaction.relative(program, bytes(_folder())) if b"/" in program else redaction.text(program)
    return {**traced, "command": [os.fsdecode(each) for each in (program, *map(redaction.text, words))]}


def _refuse(error: Exception | str, exit_code: int) -> int:
    print(f"kubestrace: {error}", file=sys.stderr)
    return exit_code


class _Local:
    """One local trace. Everything that can be refused without a tracer is refused first."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._session = sessions.make(
            options.session_file,
            options.target,
            duration_seconds=options.duration_seconds,
            syscalls=options.syscalls,
            profile=options.profile,
            redact=options.redact,
            views=options.views,
        )
        self._redaction = Redaction.of(self._session.redact)
        self._session = dataclasses.replace(self._session, traced=_shown(self._session.traced, self._redaction))
        self._compared = baselines.compared(options.compare, self._session)
        if options.output == "folded" and not any(view.has_stacks for view, _ in registry.chosen(self._session.views)):
            flags = " or ".join(view.flags[0].words for view in registry.VIEWS if view.has_stacks)
            raise UsageError(f"-o folded prints the stacks of a view, and none with stacks is on: add {flags}")
        self._requests = registry.requests(self._session.views, Span(1000 * (self._session.duration_seconds or 0)))
        self._wanted = _wanted(self._session, options)
        self._hierarchy = cgroups.detect(targets.CGROUP_MOUNT)
        self._root = self._hierarchy.root
        # COMMAND's file, or what runs already.
        self._place: str | targets.Target
        if options.command:
            self._place = launch.find(options.command[0])
        else:
            self._place = targets.find(options.pid, options.cgroup, options.container, self._root)

    def run(self) -> int:
        """Return the exit code."""
        place, words = self._place, self._options.command
        with contextlib.ExitStack() as stack:
            to = stack.enter_context(results.opened(self._options.to))
            signals = stack.enter_context(Signals(launch.PASSED_ON if words else ENDING_SIGNALS))
            tracer = stack.enter_context(contextlib.closing(self._tracer()))
            if received := signals.read():
                name = signal.Signals(received[0].number).name
                return _refuse(f"ended by {name} before counting began", 128 + received[0].number)
            if isinstance(place, str):
                command = stack.enter_context(Command(place, words, self._root, signals))
                target = _named(command.target, place, self._redaction)
            else:
                command, target = None, place
            if command is None:
                return self._result(tracer, signals, target, None, to)
            try:
                self._result(tracer, signals, target, command, to)
            except launch.CommandError:
                raise
            except Exception as error:
                if not command.released:
                    raise
                # COMMAND runs: its exit code is owed, whatever is wrong here.
                traceback.print_exc()
                _refuse(f"there is no result, because of an unexpected {error!r}", CANNOT_TRACE)
            return _exit_code(command, signals)

    def _result(
        self, tracer: Tracer, signals: Signals, target: targets.Target, command: Command | None, to: TextIO
    ) -> int:
        """Trace and write the result; returns the exit code of a trace without COMMAND."""
        with contextlib.closing(tracer):
            document = self._trace(tracer, signals, target, command)
        return self._write(document, to)

    def _tracer(self) -> Tracer:
        """Load what this session needs: the programs of all views take seconds to compile."""
        # Who is not root has no folder that nobody else may write, as one of his other processes could.
        folder = kept.folder_named(os.environ.get("KUBESTRACE_PROGRAMS_DIR", "")) if os.geteuid() == 0 else None
        return loading.load(max_containers=1, parts=agent_views.requests(self._requests).parts, folder=folder)

    def _write(self, document: Mapping[str, Any], to: TextIO) -> int:
        """Return 0, or say that the result could not be written: COMMAND has an exit code of its own."""
        try:
            results.write(document, self._options.output, to, anew=self._options.to is not None)
        except results.ResultFileError as error:
            return _refuse(error, CANNOT_TRACE)
        return 0

    def _trace(
        self, tracer: Tracer, signals: Signals, target: targets.Target, command: Command | None
    ) -> dict[str, object]:
        """Count until the end and return the whole TraceSession."""
        with _watched(target, command, until_empty=self._options.until_empty) as watched:
            before = targets.descendants(target.host_pid) if target.by_process else []
            there = {pid: targets.named(pid) for pid in before}
            held = command.held if command else None
            # Nobody has named these.
            of_profile = {view.name for view in registry.in_profile(self._session.profile)}
            recording = Recording(
                tracer, target, self._wanted, self._requests, held, self._session.redact, can_do_without=of_profile
            )
            children = self._children(recording, target, there)
            if command:
                command.release()
            progress = Progress(sys.stderr, duration_seconds=self._session.duration_seconds, wanted=command is None)

            def on_tick() -> None:
                progress.show(recording.elapsed_seconds, recording.read())
                if command:
                    command.moves.look_now_and_then()
                    # With --until-empty this is long before the end of the trace.
                    command.child.ended()

            try:
                ending = endings.wait(
                    signals,
                    watched,
                    duration_seconds=self._session.duration_seconds,
                    on_signal=command.pass_on if command else None,
                    on_tick=on_tick,
                    tick_seconds=lambda: recording.tick_seconds,
                )
            finally:
                progress.clear()
        gaps = command.gaps() if command else []
        left = _left_by(command, recording, target)
        report = recording.finish(agent_pb2.END_REASON_STOPPED if ending.by_person else agent_pb2.END_REASON_COMPLETED)
        for gap in gaps:
            gap.message = self._without(gap.message)
        report.trust.gaps.extend(gaps)
        if command and command.child.ended():
            command.child.raise_if_not_executed()
            for row in report.containers:
                row.state.exit_code = command.child.wait()
                row.state.finish_time_unix_nanoseconds = command.child.end_unix_ns
        remarks = (_why_nothing(report, self._session, target), left, children)
        said = [self._without(each) for each in remarks if each]
        status = results.status(self._session, report, ending, self._hierarchy.mode, said, compared=self._compared)
        return self._session.document(status)

    def _without(self, sentence: str) -> str:
        """Return a sentence that names processes without what the session does not show."""
        return os.fsdecode(self._redaction.text(os.fsencode(sentence))) if self._redaction.patterns else sentence

    def _children(self, recording: Recording, target: targets.Target, before: dict[int, str]) -> str:
        """Count the children that a process has, where that is asked for; otherwise return what is to be said.

        `before` are those that it had before counting began, with their names: it may be gone by now.
        """
        if not target.by_process:
            return ""
        if self._options.with_children:
            recording.follow(lambda: targets.descendants(target.host_pid))
            return ""
        now = {pid: targets.named(pid) for pid in targets.descendants(target.host_pid)}
        counted = recording.followed()
        there = [name for pid, name in sorted((now | before).items()) if pid not in counted]
        if not there:
            return ""
        many = f"{len(there)} children, or children of those, that it had before are" if there[1:] else "its child is"
        return f"{many} not counted: {_listed(there)}; --with-children counts them"


def _left_by(command: Command | None, recording: Recording, target: targets.Target) -> str:
    """Return what is to be said of processes that COMMAND, or the process of --pid, left behind."""
    if command:
        hint = "; --until-empty traces until the last one has ended"
        return _left_behind(command.left(), hint) if command.child.ended() else ""
    if not target.by_process or targets.lives(target.host_pid):
        return ""
    return _left_behind([targets.named(pid) for pid in recording.followed() if targets.lives(pid)], "")


def _left_behind(left: Sequence[str], hint: str) -> str:
    if not left:
        return ""
    subject = (
        f"{len(left)} processes that it left behind go on" if left[1:] else "a process that it left behind goes on"
    )
    return f"{subject} uncounted: {_listed(left)}{hint}"


def _listed(names: Sequence[str]) -> str:
    more = [f"{len(names) - _MOST_NAMES} more"] if len(names) > _MOST_NAMES else []
    return ", ".join([*names[:_MOST_NAMES], *more])


def _wanted(session: sessions.Session, options: Options) -> syscalls.Wanted:
    """Return the calls that are counted. Raises what says where the wrong pattern stands: in the file, or in -e."""
    try:
        return syscalls.parse_patterns(session.syscalls, platform.machine()).keys()
    except syscalls.SyscallPatternError as error:
        if options.session_file is None or options.syscalls is not None:
            raise
        raise sessions.SessionFileError(options.session_file, f"spec.syscalls: {error}") from error


@contextlib.contextmanager
def _watched(target: targets.Target, command: Command | None, *, until_empty: bool) -> Iterator[endings.Watched]:
    """Yield what ends the trace of this target."""
    if command and until_empty:
        yield endings.Watched("the last process of COMMAND", cgroup=target.cgroup, was_populated=True)
    elif command:
        yield endings.Watched("COMMAND", pidfd=command.child.pidfd)
    elif target.by_process:
        with targets.process_file(target) as pidfd:
            yield endings.Watched(f"process {target.host_pid}", pidfd=pidfd)
    else:
        populated = cgroups.populated(target.cgroup)
        # The root cgroup does not say whether anybody is in it, and does not end.
        cgroup = None if populated is None else target.cgroup
        yield endings.Watched(f"the last process of {target.name}", cgroup=cgroup, was_populated=bool(populated))


def _exit_code(command: Command, signals: Signals) -> int:
    """Return COMMAND's own exit code, after its end; signals are passed on until then."""
    endings.wait(
        signals,
        endings.Watched("COMMAND", pidfd=command.child.pidfd),
        duration_seconds=None,
        on_signal=command.pass_on,
        on_tick=lambda: None,
    )
    return command.child.wait()


def _why_nothing(report: agent_pb2.Report, session: sessions.Session, target: targets.Target) -> str:
    """Return why nothing was counted, or nothing when something was."""
    if any(container.syscalls for container in report.containers):
        return ""
    if any(container.unreturned for container in report.containers):
        return "nothing was counted: no system call returned"
    if session.syscalls:
        return f"nothing was counted: no call of {', '.join(session.syscalls)} was made"
    if not target.by_process and not procfs.first_process(targets.PROC, target.cgroup):
        return f"nothing was counted: no process was in {utf8(str(target.cgroup))}"
    if any(container.trust.io_uring for container in report.containers):
        return "no system call began or returned: the work goes by io_uring"
    inside = waits.described(target)
    return f"nothing was counted: no system call began or returned{inside and '; ' + inside}"

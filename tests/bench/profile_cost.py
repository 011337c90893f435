"""What each profile costs: the same work without a tracer and with each profile, in one run.

    PYTHONPATH=tests/support python tests/bench/profile_cost.py [ROUNDS]

Three kinds of work in a cgroup of its own, in turns untraced and with each profile, by local mode's own recording,
which reads what is counted as it does there. A run measures itself in many pieces of a fraction of a millisecond, and
its time is their median: what the machine's other work interrupts is among the slower ones. The modes of a round
follow each other at once, and of the rounds the least is taken. What is printed is the table of docs/how-to/choose-a-
profile.md: the time with a profile as a multiple of the time without. Needs root and gcc.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from engine_runs import Cgroup, cgroup_root

from kubestrace_agent.kernel.counters.tracer import Tracer
from kubestrace_agent.views import loading
from kubestrace_cli.local.recordings import Recording
from kubestrace_cli.local.targets import Target
from kubestrace_operator.api import spec
from kubestrace_operator.views.profiles import Profile
from kubestrace_operator.views.registry import PROFILES, requests
from kubestrace_operator.views.view import Span
from kubestrace_protos.v1 import agent_pb2

_SOURCE = r"""
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#define PIECES 301
static void calls(void) { syscall(SYS_getppid); }
static void files(int number) {
  char name[32], buffer[4096];
  struct stat status;
  snprintf(name, sizeof(name), "file%d", number % 50);
  int fd = open(name, O_RDONLY);
  if (fd < 0 || fstat(fd, &status) || read(fd, buffer, sizeof(buffer)) != sizeof(buffer)) exit(2);
  close(fd);
}
static void connections(int listener, struct sockaddr_in *to) {
  char buffer[100] = "";
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(fd, (struct sockaddr *)to, sizeof(*to))) exit(3);
  int other = accept(listener, NULL, NULL);
  if (send(fd, buffer, sizeof(buffer), 0) != sizeof(buffer)) exit(4);
  if (recv(other, buffer, sizeof(buffer), MSG_WAITALL) != sizeof(buffer)) exit(5);
  close(fd), close(other);
}
static int compared(const void *one, const void *other) {
  double first = *(double *)one, second = *(double *)other;
  return (first > second) - (first < second);
}
int main(int argc, char **argv) {
  struct timespec begin, end;
  static double pieces[PIECES];
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof(to);
  if (argc < 4 || chdir(argv[1])) return 1;
  int rounds = atoi(argv[3]), listener = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(listener, (struct sockaddr *)&to, sizeof(to)) || listen(listener, 10)) return 6;
  if (getsockname(listener, (struct sockaddr *)&to, &size)) return 7;
  for (int piece = 0; piece < PIECES; piece++) {
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (int i = 0; i < rounds; i++)
      if (!strcmp(argv[2], "call")) calls();
      else if (!strcmp(argv[2], "file")) files(i);
      else connections(listener, &to);
    clock_gettime(CLOCK_MONOTONIC, &end);
    pieces[piece] = ((end.tv_sec - begin.tv_sec) * 1e9 + end.tv_nsec - begin.tv_nsec) / rounds;
  }
  qsort(pieces, PIECES, sizeof(pieces[0]), compared);
  printf("%f\n", pieces[PIECES / 2]);
}
"""
# What is done, and how often in one piece of a run.
_WORK = {"call": 500, "file": 60, "connection": 6}
# In the place of a profile: untraced.
_NONE = "none"


def main() -> None:
    """Print the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        folder = Path(name)
        for number in range(50):
            (folder / f"file{number}").write_bytes(b"x" * 4096)
        (folder / "work.c").write_text(_SOURCE, encoding="ascii")
        subprocess.run(["gcc", "-O1", "-w", "-o", folder / "work", folder / "work.c"], check=True, timeout=200)
        print_table(measured(folder, rounds), rounds)


def measured(folder: Path, rounds: int) -> dict[tuple[str, str], float]:
    """Run all modes in turns; the least median of each, in nanoseconds, by the work and the profile."""
    cgroup, tracer = Cgroup(cgroup_root()), loading.load(max_containers=1)
    target = Target(name="work", cgroup=cgroup.path)
    least: dict[tuple[str, str], float] = {}
    try:
        for _ in range(rounds):
            for work, times in _WORK.items():
                for mode in (_NONE, *PROFILES):
                    words = [str(folder / "work"), str(folder), work, str(times)]
                    spent = run(words, cgroup, tracer, target, mode)
                    least[work, mode] = min(spent, least.get((work, mode), spent))
    finally:
        tracer.close()
        cgroup.remove()
    return least


def run(words: list[str], cgroup: Cgroup, tracer: Tracer, target: Target, mode: str) -> float:
    """Return the nanoseconds of one piece of work."""
    recording = None if mode == _NONE else Recording(tracer, target, None, views=asked(Profile(mode)))
    with subprocess.Popen(words, preexec_fn=cgroup.enter, stdout=subprocess.PIPE, text=True) as process:  # noqa: PLW1509
        while process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(recording.tick_seconds if recording else 10)
            if recording is not None:
                recording.read()
        assert process.stdout is not None
        spent = float(process.stdout.read())
    if recording is not None:
        recording.finish(agent_pb2.END_REASON_COMPLETED)
    return spent


def asked(profile: Profile) -> dict[str, object]:
    """Return the requests of a session with this profile."""
    views = spec.parse({"profile": profile.value}, target_required=False).views
    return dict(requests(views, Span(1000 * spec.DEFAULT_DURATION_SECONDS)))


def print_table(least: dict[tuple[str, str], float], rounds: int) -> None:
    """Print the rows, and what they are multiples of."""
    bare = ", ".join(f"{work} {least[work, _NONE] / 1000:.2f} us" for work in _WORK)
    print(f"load {os.getloadavg()[0]:.2f}, {os.cpu_count()} CPUs, Linux {os.uname().release}, {rounds} rounds")
    print(f"untraced: {bare}")
    for profile in PROFILES:
        ratios = " | ".join(f"{least[work, profile] / least[work, _NONE]:.2f}" for work in _WORK)
        print(f"| `{profile}` | {ratios} |")


main()

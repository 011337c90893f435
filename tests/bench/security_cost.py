"""What the view of security costs: opens, connects, forks and executions, before and with it, in one run.

    PYTHONPATH=tests/support python tests/bench/security_cost.py [ROUNDS]

Loops of one call each in a traced container, in turns without a tracer, with counting, and with the view. The modes of
a round follow each other at once; what is printed are the least times of many rounds. Needs root and gcc.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from engine_runs import Cgroup, cgroup_root

from kubestrace_agent.views import loading
from kubestrace_agent.views.security.values import SecurityWanted

_CALLS = {"getppid": 100_000, "open and close": 20_000, "open, missing": 20_000, "sendto": 20_000, "execute": 300}
_SOURCE = r"""
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
int main(int argc, char **argv) {
  struct timespec begin, end;
  if (argc < 3) return 0;
  int calls = atoi(argv[2]), out = socket(AF_INET, SOCK_DGRAM, 0);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
  inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
  clock_gettime(CLOCK_MONOTONIC, &begin);
  for (int i = 0; i < calls; i++) {
    if (!strcmp(argv[1], "open and close")) close(open(argv[0], O_RDONLY));
    else if (!strcmp(argv[1], "open, missing")) open("/dev/shm/there-is-no-such-file", O_RDONLY);
    else if (!strcmp(argv[1], "sendto")) sendto(out, "x", 1, MSG_DONTWAIT, (void *)&to, sizeof(to));
    else if (!strcmp(argv[1], "execute")) {
      pid_t child = vfork();
      if (!child) execl(argv[0], argv[0], NULL), _exit(1);
      waitpid(child, NULL, 0);
    } else syscall(SYS_getppid);
  }
  clock_gettime(CLOCK_MONOTONIC, &end);
  printf("%f\n", ((end.tv_sec - begin.tv_sec) * 1e9 + end.tv_nsec - begin.tv_nsec) / calls);
}
"""


def main() -> None:
    """Print the least of the rounds."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        folder = Path(name)
        (folder / "calls.c").write_text(_SOURCE, encoding="ascii")
        command = ["gcc", "-O1", "-w", "-static", "-o", folder / "calls", folder / "calls.c"]
        subprocess.run(command, check=True, timeout=200)
        measure(folder / "calls", rounds)


def measure(program: Path, rounds: int) -> None:
    """Run all modes in turns."""
    cgroup, tracer = Cgroup(cgroup_root()), loading.load()

    def run(mode: str) -> float:
        words = [program, mode, str(_CALLS[mode])]
        done = subprocess.run(words, preexec_fn=cgroup.enter, capture_output=True, text=True, check=True, timeout=600)
        return float(done.stdout)

    found: dict[str, list[tuple[float, float, float]]] = {}
    try:
        for _ in range(rounds):
            for mode in _CALLS:
                bare = run(mode)
                slot = tracer.add_container(cgroup.path, wanted=None)
                counted = run(mode)
                tracer.enable("security", slot, SecurityWanted())
                found.setdefault(mode, []).append((bare, counted, run(mode)))
                tracer.remove(slot)
    finally:
        tracer.close()
        cgroup.remove()
    print(f"load {os.getloadavg()[0]:.2f}, {rounds} rounds, {os.uname().release}")
    print(f"{'ns a call':24} {'bare':>9} {'counted':>9} {'security':>9} {'added':>8}")
    for mode, times in found.items():
        bare, counted, viewed = map(min, zip(*times, strict=True))
        print(f"{mode:24} {bare:9.0f} {counted:9.0f} {viewed:9.0f} {viewed - counted:8.0f}")


main()

"""What the view of files costs: calls with a path and with a descriptor, before and with it, in one run.

    PYTHONPATH=tests/support python tests/bench/files_cost.py [ROUNDS]

Loops of one call each in a traced container, in turns without a tracer, with counting, and with the view. The modes of
a round follow each other at once, and rounds are short: the least of many is what the machine's other work has left
alone. What is printed are the least times, and their differences and ratios. Needs root and gcc.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from engine_runs import Cgroup, cgroup_root

from kubestrace_agent.views import loading
from kubestrace_agent.views.files.values import FilesWanted

_CALLS = 20_000
# Of tmpfs: the calls themselves cost as little as may be.
_SOURCE = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
static const char *mode, *folder, *longer;
static int calls;
static void *work(void *unused) {
  struct stat status;
  char byte;
  int fd = open("file", O_RDWR);
  for (int i = 0; i < calls; i++) {
    if (!strcmp(mode, "stat, relative")) syscall(SYS_newfstatat, AT_FDCWD, "file", &status, 0);
    else if (!strcmp(mode, "stat, 30 bytes")) syscall(SYS_newfstatat, AT_FDCWD, folder, &status, 0);
    else if (!strcmp(mode, "stat, 200 bytes")) syscall(SYS_newfstatat, AT_FDCWD, longer, &status, 0);
    else if (!strcmp(mode, "stat, missing")) syscall(SYS_newfstatat, AT_FDCWD, "missing", &status, 0);
    else if (!strcmp(mode, "open and close")) close(open("file", O_RDONLY));
    else if (!strcmp(mode, "pread, 1 byte")) pread(fd, &byte, 1, 0);
    else if (!strcmp(mode, "pwrite, 1 byte")) pwrite(fd, &byte, 1, 0);
    else if (!strcmp(mode, "fstat")) syscall(SYS_newfstatat, fd, "", &status, AT_EMPTY_PATH);
    else syscall(SYS_getppid);
  }
  return unused;
}
int main(int argc, char **argv) {
  struct timespec begin, end;
  static char path[400], large[400];
  if (argc < 5 || chdir(argv[1])) return 1;
  mode = argv[2], calls = atoi(argv[3]);
  int threads = atoi(argv[4]);
  pthread_t all[64];
  snprintf(path, sizeof(path), "%s/file", argv[1]), folder = path;
  strcpy(large, argv[1]);
  while (strlen(large) < 194) strcat(large, "/.");
  strcat(large, "/file"), longer = large;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  for (int i = 0; i < threads; i++) pthread_create(&all[i], NULL, work, NULL);
  for (int i = 0; i < threads; i++) pthread_join(all[i], NULL);
  clock_gettime(CLOCK_MONOTONIC, &end);
  printf("%f\n", ((end.tv_sec - begin.tv_sec) * 1e9 + end.tv_nsec - begin.tv_nsec) / calls);
}
"""
_MODES = (
    ("getppid", 1),
    ("stat, 30 bytes", 1),
    ("stat, 200 bytes", 1),
    ("stat, relative", 1),
    ("stat, missing", 1),
    ("open and close", 1),
    ("fstat", 1),
    ("pread, 1 byte", 1),
    ("pwrite, 1 byte", 1),
    ("pread, 1 byte", 16),
)


def main() -> None:
    """Print the least of the rounds."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        folder = Path(name)
        (folder / "file").write_bytes(b"x" * 4096)
        (folder / "calls.c").write_text(_SOURCE, encoding="ascii")
        command = ["gcc", "-O1", "-pthread", "-w", "-o", folder / "calls", folder / "calls.c"]
        subprocess.run(command, check=True, timeout=200)
        measure(folder, rounds)


def measure(folder: Path, rounds: int) -> None:
    """Run all modes in turns."""
    cgroup, tracer = Cgroup(cgroup_root()), loading.load()

    def run(mode: str, threads: int) -> float:
        words = [folder / "calls", folder, mode, str(_CALLS // threads), str(threads)]
        done = subprocess.run(words, preexec_fn=cgroup.enter, capture_output=True, text=True, check=True, timeout=600)
        return float(done.stdout)

    found: dict[tuple[str, int], list[tuple[float, float, float]]] = {}
    try:
        for _ in range(rounds):
            for mode in _MODES:
                bare = run(*mode)
                slot = tracer.add_container(cgroup.path, wanted=None)
                counted = run(*mode)
                tracer.enable("files", slot, FilesWanted(1))
                found.setdefault(mode, []).append((bare, counted, run(*mode)))
                tracer.remove(slot)
    finally:
        tracer.close()
        cgroup.remove()
    print(f"load {os.getloadavg()[0]:.2f}, {rounds} rounds of {_CALLS} calls, {os.uname().release}")
    print(f"{'ns a call':24} {'bare':>8} {'counted':>8} {'files':>8} {'added':>8} {'ratio':>8}")
    for (mode, threads), times in found.items():
        bare, counted, viewed = map(min, zip(*times, strict=True))
        label = mode if threads == 1 else f"{mode}, {threads} threads"
        print(f"{label:24} {bare:8.0f} {counted:8.0f} {viewed:8.0f} {viewed - counted:8.0f} {viewed / counted:8.2f}")


main()

/* A program that knows what it asks of the kernel for memory. On a line of input it makes each kind of call, as test_memory.py
 * has them, by system calls of its own, and says "done". On the next one it ends. "leak" touches 1 MiB more ten times a
 * second for two seconds first; "arena" touches 16 MiB at once, and gives them back and touches them again. */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const long PAGE = 4096;

static char *map(long bytes, int protection, int flags) {
  return (char *)syscall(SYS_mmap, NULL, bytes, protection, flags, -1, 0);
}

static void calls(void) {
  int read_write = PROT_READ | PROT_WRITE, private = MAP_PRIVATE | MAP_ANONYMOUS;
  for (int i = 0; i < 10; i++) {
    char *at = map(10 * PAGE + 1, read_write, private); /* 11 pages */
    syscall(SYS_madvise, at, 4 * PAGE, MADV_DONTNEED);
    syscall(SYS_madvise, at, 2 * PAGE, MADV_NOHUGEPAGE);
    syscall(SYS_mprotect, at, PAGE, PROT_READ);
    syscall(SYS_munmap, at, 11 * PAGE);
  }
  map(64 * PAGE, PROT_NONE, private | MAP_NORESERVE);
  map(3 * PAGE, read_write, MAP_SHARED | MAP_ANONYMOUS);
  syscall(SYS_mmap, NULL, PAGE, PROT_READ, MAP_PRIVATE, -1, 0); /* no such file */
  char *at = map(5 * PAGE, read_write, private);
  at = (char *)syscall(SYS_mremap, at, 5 * PAGE, 9 * PAGE, MREMAP_MAYMOVE);
  syscall(SYS_mremap, at, 9 * PAGE, 2 * PAGE, 0);
  long now = syscall(SYS_brk, 0);
  syscall(SYS_brk, now + 7 * PAGE);
  syscall(SYS_brk, now + 4 * PAGE);
}

static void rest(void) {
  struct timespec pause = {.tv_nsec = 100000000};
  nanosleep(&pause, NULL);
}

int main(int count, char **words) {
  char line[16];
  setvbuf(stdout, NULL, _IONBF, 0);
  puts("ready");
  if (read(0, line, 1) != 1) return 1;
  if (count > 1 && !strcmp(words[1], "fork")) {
    pid_t child = fork();
    if (child == 0) {
      syscall(SYS_brk, syscall(SYS_brk, 0) + 0);
      sbrk(5 * PAGE);
      _exit(0);
    }
    waitpid(child, NULL, 0);
  } else if (count > 1 && !strcmp(words[1], "leak")) {
    for (int i = 0; i < 20; i++, rest()) memset(map(1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS), 1, 1 << 20);
  } else if (count > 1 && !strcmp(words[1], "arena")) {
    char *arena = map(16 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    for (int i = 0; i < 10; i++, rest()) {
      madvise(arena, 16 << 20, MADV_DONTNEED);
      memset(arena, 1, 16 << 20);
    }
  } else {
    calls();
  }
  puts("done");
  return read(0, line, 1) != 1;
}

/* A program of the tests says on standard output what it did, counted by itself:
 * "NAME ABI CALLS ERRORS INTERRUPTED TIMED", ABI "-" for the machine's own. */
#pragma once
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static inline void tell_abi(const char *name, const char *abi, long calls, long errors, long interrupted, long timed) {
  printf("%s %s %ld %ld %ld %ld\n", name, abi, calls, errors, interrupted, timed);
  fflush(stdout);
}

static inline void tell(const char *name, long calls, long errors) {
  tell_abi(name, "-", calls, errors, 0, calls);
}

/* "ready" to the test, then wait for its word. */
static inline void wait_for_go(void) {
  char word;
  if (write(1, "ready\n", 6) != 6 || read(0, &word, 1) < 0) exit(9);
}

#if defined(__x86_64__)
/* A system call by the i386 table. */
static inline long old_call(long nr, long a, long b, long c, long d) {
  long ret;
  asm volatile("int $0x80"
               : "=a"(ret)
               : "a"(nr), "b"(a), "c"(b), "d"(c), "S"(d), "D"(-1)
               : "memory", "r8", "r9", "r10", "r11");
  return ret;
}
#endif

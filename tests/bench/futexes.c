// Nanoseconds for a call of futex that wakes nobody, and for handing a word over between two threads on one CPU, there and
// back: `futexes COUNT`.
#define _GNU_SOURCE
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static atomic_uint words[2];
static long count;

static void futex(atomic_uint *word, int command, unsigned value) {
  syscall(SYS_futex, word, command | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

static double now(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return at.tv_sec * 1e9 + at.tv_nsec;
}

static void take(int mine) {
  while (!atomic_load(&words[mine])) futex(&words[mine], FUTEX_WAIT, 0);
  atomic_store(&words[mine], 0);
}

static void give(int to) {
  atomic_store(&words[to], 1);
  futex(&words[to], FUTEX_WAKE, 1);
}

static void *answer(void *unused __attribute__((unused))) {
  for (long i = 0; i < count; i++) {
    take(1);
    give(0);
  }
  return NULL;
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  count = atol(argv[1]);
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(sched_getcpu(), &one);
  sched_setaffinity(0, sizeof(one), &one);
  double begin = now();
  for (long i = 0; i < count; i++) futex(&words[0], FUTEX_WAKE, 1);
  double woken = now();
  pthread_t other;
  pthread_create(&other, NULL, answer, NULL);
  for (long i = 0; i < count; i++) {
    give(1);
    take(0);
  }
  pthread_join(other, NULL);
  printf("%.1f %.1f\n", (woken - begin) / count, (now() - woken) / count);
  return 0;
}

/* spend HOW MILLISECONDS [THREADS [ROUNDS]]: threads that spend so much time, all at once in each round; with one
 * thread the process's own does it. HOW: user, kernel (reads of /dev/zero), sleep, share (user, all on one CPU), mixed.
 * Prints by its own clocks, over all threads: how long they lived, how much of that they ran, both in ns. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *how;
static long length_ns, lived, ran;
static char block[1 << 20];

static long now(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return time.tv_sec * 1000000000L + time.tv_nsec;
}

static void account(long since) {
  __atomic_fetch_add(&lived, now(CLOCK_MONOTONIC) - since, __ATOMIC_RELAXED);
  __atomic_fetch_add(&ran, now(CLOCK_THREAD_CPUTIME_ID), __ATOMIC_RELAXED);
}

static void spend(const char *what) {
  long end = now(CLOCK_MONOTONIC) + length_ns;
  if (!strcmp(what, "sleep")) {
    struct timespec time = {length_ns / 1000000000L, length_ns % 1000000000L};
    nanosleep(&time, NULL);
  } else if (!strcmp(what, "kernel")) {
    int fd = open("/dev/zero", O_RDONLY);
    while (now(CLOCK_MONOTONIC) < end)
      if (read(fd, block, sizeof(block)) < 0) exit(1);
    close(fd);
  } else {
    while (now(CLOCK_MONOTONIC) < end) continue;
  }
}

static void *work(void *number) {
  static const char *const kinds[] = {"sleep", "kernel", "user", "sleep"};
  long since = now(CLOCK_MONOTONIC);
  spend(strcmp(how, "mixed") ? how : kinds[(long)number % 4]);
  account(since);
  return NULL;
}

static void one_cpu(void) {
  cpu_set_t allowed, one;
  sched_getaffinity(0, sizeof(allowed), &allowed);
  int cpu = 0;
  while (!CPU_ISSET(cpu, &allowed)) cpu++;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  sched_setaffinity(0, sizeof(one), &one);
}

int main(int count, char **words) {
  memset(block, 1, sizeof(block)); /* no page fault waits for another thread then */
  long since = now(CLOCK_MONOTONIC);
  how = words[1];
  length_ns = atol(words[2]) * 1000000L;
  long threads = count > 3 ? atol(words[3]) : 1, rounds = count > 4 ? atol(words[4]) : 1;
  pthread_t made[256];
  if (!strcmp(how, "share")) one_cpu();
  for (long round = 0; round < rounds; round++) {
    for (long n = 0; n < threads && threads > 1; n++)
      if (pthread_create(&made[n], NULL, work, (void *)n)) return 1;
    if (threads == 1) spend(how);
    for (long n = 0; n < threads && threads > 1; n++) pthread_join(made[n], NULL);
  }
  account(since);
  printf("%ld %ld\n", lived, ran);
  return 0;
}

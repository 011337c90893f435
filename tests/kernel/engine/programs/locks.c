// Threads that wait for each other in known ways, by futex calls that it counts itself.
//
//   locks lock THREADS ROUNDS US   threads take a lock in turns and keep it for so long, ROUNDS times each
//   locks queue THREADS ROUNDS US  one thread hands work to the others through a semaphore, ROUNDS times each
//
// It waits for a line before it begins, and prints as JSON: the address of the lock, the waits that slept or may have, wakes
// that woke somebody, and the time that threads kept the lock after a wait (nanoseconds).
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// The lock: 0 free, 1 taken, 2 taken and somebody waits. The queue: how much work there is.
static _Alignas(64) atomic_uint word;
static atomic_ulong waits, again, wakes, handed_on, held_ns;
static long rounds, keeps_us;

static long futex(int command, unsigned value) {
  return syscall(SYS_futex, &word, command | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

static uint64_t now(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return at.tv_sec * 1000000000ULL + at.tv_nsec;
}

static void keep(void) {
  uint64_t end = now() + keeps_us * 1000ULL;
  while (now() < end) usleep(keeps_us);
}

// 0: woken; else it did not sleep.
static void sleep_while(unsigned value) {
  if (futex(FUTEX_WAIT, value) == 0)
    atomic_fetch_add(&waits, 1);
  else
    atomic_fetch_add(&again, 1);
}

static void *take_turns(void *unused __attribute__((unused))) {
  _Bool has_waited = 0;
  for (long i = 0; i < rounds; i++) {
    unsigned found = 0;
    uint64_t since = 0;
    if (!atomic_compare_exchange_strong(&word, &found, 1)) {
      if (found != 2) found = atomic_exchange(&word, 2);
      while (found) {
        sleep_while(2);
        has_waited = 1;
        since = now();
        found = atomic_exchange(&word, 2);
      }
    }
    keep();
    if (since) atomic_fetch_add(&held_ns, now() - since);
    if (atomic_exchange(&word, 0) == 2 && futex(FUTEX_WAKE, 1) > 0) {
      atomic_fetch_add(&wakes, 1);
      if (has_waited) atomic_fetch_add(&handed_on, 1);
    }
  }
  return NULL;
}

static void *take_work(void *unused __attribute__((unused))) {
  for (long i = 0; i < rounds; i++) {
    unsigned there = atomic_load(&word);
    for (;;) {
      if (!there) {
        sleep_while(0);
        there = atomic_load(&word);
      } else if (atomic_compare_exchange_strong(&word, &there, there - 1)) {
        break;
      }
    }
  }
  return NULL;
}

static void hand_out(long all) {
  for (long i = 0; i < all; i++) {
    usleep(keeps_us);
    atomic_fetch_add(&word, 1);
    if (futex(FUTEX_WAKE, 1) > 0) atomic_fetch_add(&wakes, 1);
  }
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  long threads = atol(argv[2]);
  rounds = atol(argv[3]);
  keeps_us = atol(argv[4]);
  _Bool queue = strcmp(argv[1], "queue") == 0;
  pthread_t all[64];
  puts("ready");
  fflush(stdout);
  getchar();
  for (long i = 0; i < threads; i++) pthread_create(&all[i], NULL, queue ? take_work : take_turns, NULL);
  if (queue) hand_out(threads * rounds);
  for (long i = 0; i < threads; i++) pthread_join(all[i], NULL);
  printf("{\"address\": %lu, \"waits\": %lu, \"wakes\": %lu, \"handed_on\": %lu, \"held_ns\": %lu}\n", (unsigned long)&word,
         atomic_load(&waits), atomic_load(&wakes), atomic_load(&handed_on), atomic_load(&held_ns));
  return 0;
}

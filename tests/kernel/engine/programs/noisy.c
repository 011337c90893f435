/* Makes as many slow calls as it can: ARGUMENT threads that sleep for 1.1 ms, for 2 s. Prints how many calls it made. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static volatile int over;
static long calls;

static void *sleeper(void *unused) {
  (void)unused;
  while (!over) {
    nanosleep(&(struct timespec){0, 1100000}, NULL);
    __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
  }
  return NULL;
}

int main(int count, char **words) {
  int threads = count == 2 ? atoi(words[1]) : 0;
  pthread_t ids[1024];
  if (threads < 1 || threads > 1024) return 2;
  for (int i = 0; i < threads; i++)
    if (pthread_create(&ids[i], NULL, sleeper, NULL)) return 2;
  sleep(2);
  over = 1;
  for (int i = 0; i < threads; i++) pthread_join(ids[i], NULL);
  printf("%ld\n", calls);
  return 0;
}

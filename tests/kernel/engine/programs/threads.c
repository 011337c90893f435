/* threads COUNT CALLS: short-lived threads, 8 at once, each making CALLS of getppid and one exit. */
#include "counted.h"

static long calls;
static void *work(void *unused) {
  for (long i = 0; i < calls; i++) syscall(SYS_getppid);
  return unused;
}

int main(int argc, char **argv) {
  long count = atol(argv[1]);
  calls = atol(argv[2]);
  for (long made = 0; made < count; made += 8) {
    pthread_t ids[8];
    for (int i = 0; i < 8; i++) pthread_create(&ids[i], NULL, work, NULL);
    for (int i = 0; i < 8; i++) pthread_join(ids[i], NULL);
  }
  tell("getppid", count * calls, 0);
  tell_abi("exit", "-", count, 0, 0, 0);
  return argc == 0;
}

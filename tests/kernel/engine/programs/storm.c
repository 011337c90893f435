/* storm SECONDS: a thread on each CPU makes cheap calls as fast as it can, each 16th one fails. */
#include "counted.h"

static volatile int stop;
struct thread { pthread_t id; long calls, errors; };
static void *work(void *argument) {
  struct thread *me = argument;
  while (!stop) {
    for (int i = 0; i < 15; i++) syscall(SYS_getppid);
    syscall(SYS_flock, -1, 1);
    me->calls += 15;
    me->errors++;
  }
  return NULL;
}

int main(int argc, char **argv) {
  struct thread threads[64] = {0};
  int count = sysconf(_SC_NPROCESSORS_ONLN) * 2;
  long calls = 0, errors = 0;
  if (count > 64) count = 64;
  for (int i = 0; i < count; i++) pthread_create(&threads[i].id, NULL, work, &threads[i]);
  usleep(atof(argv[1]) * 1e6);
  stop = 1;
  for (int i = 0; i < count; i++) {
    pthread_join(threads[i].id, NULL);
    calls += threads[i].calls;
    errors += threads[i].errors;
  }
  tell("getppid", calls, 0);
  tell("flock", errors, errors);
  return argc == 0;
}

/* Something for every view: threads that make THREADS x CALLS calls of getppid, fail, and sleep SLEEPS times for 20 ms.
 * Says how often, and in which processes: "process PID CALLS", once for itself and once for its child. */
#include "counted.h"

static long calls, sleeps;

static void *work(void *unused) {
  for (long i = 0; i < calls; i++) syscall(SYS_getppid);
  for (long i = 0; i < calls / 10; i++)
    if (open("/nowhere/at/all", O_RDONLY) >= 0 || errno != ENOENT) exit(3);
  for (long i = 0; i < calls / 20; i++)
    if (rmdir("/proc/self/exe/below") == 0 || errno != ENOTDIR) exit(4);
  for (long i = 0; i < sleeps; i++) clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){0, 20000000}, NULL);
  return unused;
}

static void run(int threads) {
  pthread_t all[64];
  for (int i = 1; i < threads; i++)
    if (pthread_create(&all[i], NULL, work, NULL)) exit(5);
  work(NULL);
  for (int i = 1; i < threads; i++) pthread_join(all[i], NULL);
}

int main(int count, char **words) {
  if (count < 4) return 2;
  int threads = atoi(words[1]), status = 0;
  calls = atol(words[2]);
  sleeps = atol(words[3]);
  pid_t child = fork();
  if (child == 0) {
    run(threads);
    return 7;
  }
  run(threads);
  if (waitpid(child, &status, 0) != child || WEXITSTATUS(status) != 7) return 6;
  printf("process %d %ld\nprocess %d %ld\n", getpid(), threads * calls, child, threads * calls);
  tell("getppid", 2 * threads * calls, 0);
  tell("rmdir", 2 * threads * (calls / 20), 2 * threads * (calls / 20));
  tell("clock_nanosleep", 2 * threads * sleeps, 0);
  return 0;
}

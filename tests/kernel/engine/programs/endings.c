/* Calls without an ordinary return: execve (in the new image), rt_sigreturn, exit of threads. */
#include "counted.h"

static void handler(int signal) { (void)signal; }
static void *end(void *unused) { syscall(SYS_exit, 0); return unused; }
static void *execute(void *program) {
  char *argv[] = {program, "third", NULL};
  execve(program, argv, NULL);
  return NULL;
}

int main(int argc, char **argv) {
  if (argc == 1) {
    for (int i = 0; i < 5; i++) execve("/nowhere/at/all", argv, NULL);
    char *again[] = {argv[0], "second", NULL};
    execve("/proc/self/exe", again, NULL);
  }
  if (!strcmp(argv[1], "second")) { /* a thread that is not the leader takes its place */
    pthread_t id;
    pthread_create(&id, NULL, execute, "/proc/self/exe");
    pthread_join(id, NULL);
    return 9;
  }
  struct sigaction action = {.sa_handler = handler};
  sigaction(SIGUSR1, &action, NULL);
  for (int i = 0; i < 30; i++) syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR1);
  for (int i = 0; i < 12; i++) {
    pthread_t id;
    pthread_create(&id, NULL, end, NULL);
    pthread_join(id, NULL);
  }
  tell("execve", 8, 5); /* with the one that started us */
  tell_abi("rt_sigreturn", "-", 30, 0, 0, 0);
  tell("tgkill", 30, 0);
  tell_abi("exit", "-", 12, 0, 0, 0);
  tell_abi("exit_group", "-", 1, 0, 0, 0);
  return 0;
}

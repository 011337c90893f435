/* forks COUNT: short-lived processes, each making 3 calls of getppid and an exit_group. */
#include "counted.h"

int main(int argc, char **argv) {
  long count = atol(argv[1]), reaped = 0;
  for (long i = 0; i < count; i++) {
    pid_t child = fork();
    if (child == 0) {
      for (int n = 0; n < 3; n++) syscall(SYS_getppid);
      syscall(SYS_exit_group, 0);
    }
    while (waitpid(child, NULL, 0) != child) {}
    reaped++;
  }
  tell("getppid", 3 * count, 0);
  tell("clone", count, 0);
  tell("wait4", reaped, 0);
  tell_abi("exit_group", "-", count + 1, 0, 0, 0); /* ours too, which comes */
  return argc == 0;
}

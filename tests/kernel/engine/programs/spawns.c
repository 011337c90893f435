/* New tasks by vfork and clone3: their first return is no call of theirs. */
#include "counted.h"
#include <linux/sched.h>

int main(void) {
  for (volatile int i = 0; i < 50; i++)
    if (vfork() == 0) _exit(0);
  for (int i = 0; i < 10; i++) {
    struct clone_args how = {.exit_signal = SIGCHLD};
    if (syscall(SYS_clone3, &how, sizeof(how)) == 0) syscall(SYS_exit_group, 0);
  }
  while (wait(NULL) > 0) {}
  tell("vfork", 50, 0);
  tell("clone3", 10, 0);
  tell("wait4", 61, 1); /* the last one has no child left */
  tell_abi("exit_group", "-", 61, 0, 0, 0);
  return 0;
}

/* A tracer takes calls away by making their number -1: they are no calls. */
#include "counted.h"
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/user.h>

int main(void) {
  pid_t child = fork();
  if (child == 0) {
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    raise(SIGSTOP);
    for (int i = 0; i < 25; i++) syscall(SYS_getppid);
    for (int i = 0; i < 25; i++) syscall(SYS_getpgid, 0);
    _exit(0);
  }
  int status, entry = 1;
  waitpid(child, &status, 0);
  for (;;) {
    ptrace(PTRACE_SYSCALL, child, NULL, NULL);
    if (waitpid(child, &status, 0) < 0 || WIFEXITED(status)) break;
    long nr = ptrace(PTRACE_PEEKUSER, child, offsetof(struct user_regs_struct, orig_rax), NULL);
    if (entry && nr == SYS_getppid) ptrace(PTRACE_POKEUSER, child, offsetof(struct user_regs_struct, orig_rax), -1L);
    entry = !entry;
  }
  tell("getppid", 0, 0);
  tell("getpgid", 25, 0);
  return 0;
}

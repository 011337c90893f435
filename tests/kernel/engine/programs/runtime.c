/* Brings a program into a cgroup as a container runtime does: `runtime HOW CGROUP PROGRAM [ARGUMENT]...`, with HOW of letters:
 * w: a child waits while its PID is written to cgroup.procs, s: the child writes it itself, c: it is created in the
 * cgroup; e: it executes the runtime once more, as runc does; h: before the program it runs /bin/true as a hook; z: it waits for
 * ever instead. The child makes calls of its own, and has mounts of its own. Ends as the program. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void join(const char *cgroup, pid_t pid) {
  char path[4096], text[16];
  snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
  int file = open(path, O_WRONLY), length = snprintf(text, sizeof(text), "%d", pid);
  if (file < 0 || write(file, text, length) != length) _exit(101);
  close(file);
}

static pid_t child_of(const char *how, const char *cgroup) {
  if (!strchr(how, 'c')) return fork();
  int folder = open(cgroup, O_RDONLY | O_DIRECTORY);
  struct clone_args arguments = {.flags = CLONE_INTO_CGROUP, .exit_signal = 17, .cgroup = folder};
  return syscall(SYS_clone3, &arguments, sizeof(arguments));
}

static void run_hook(void) {
  pid_t hook = fork();
  if (hook == 0) {
    execl("/bin/true", "true", NULL);
    _exit(102);
  }
  waitpid(hook, NULL, 0);
}

static void become(const char *how, char **program) {
  for (int i = 0; i < 100; i++) syscall(SYS_getppid);
  if (unshare(CLONE_NEWNS)) _exit(103);
  if (strchr(how, 'h')) run_hook();
  if (strchr(how, 'z')) pause();
  execv(program[0], program);
  _exit(104);
}

int main(int count, char **arguments) {
  const char *how = arguments[1], *cgroup = arguments[2];
  int status;
  if (count < 4) return 100;
  if (!strcmp(arguments[0], "runtime, once more")) become(how, arguments + 3);
  pid_t child = child_of(how, cgroup);
  if (child == 0) {
    /* A runtime's child waits, too: what it did while it is moved would be the container's. */
    if (strchr(how, 'w')) raise(SIGSTOP);
    if (strchr(how, 's')) join(cgroup, getpid());
    arguments[0] = "runtime, once more";
    if (strchr(how, 'e')) execv("/proc/self/exe", arguments);
    become(how, arguments + 3);
  }
  if (child < 0) return 105;
  if (strchr(how, 'w')) {
    if (waitpid(child, &status, WUNTRACED) != child || !WIFSTOPPED(status)) return 106;
    join(cgroup, child);
    kill(child, SIGCONT);
  }
  if (waitpid(child, &status, 0) != child) return 107;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

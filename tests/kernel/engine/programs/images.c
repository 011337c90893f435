/* Programs that become others. What each image of them calls is told by its arguments alone: calls of getppid.
 * shim N: makes N calls and executes itself as `shim N-10` by another argv[0] (shimN); at 0 it exits with 5.
 * fork, vfork: a child makes 3 calls, fails to execute what is not there, makes 4 more, and executes `leaf 6`; 5 calls of its own.
 * only: a child whose one call is the exec of `leaf 6`.
 * leaf N: N calls.
 * title: its title and its names change, with calls before and after; then it waits for a word.
 * threads N: N threads with names of their own, the n-th makes 10 n calls; all live at once.
 * memfd, deleted: executes a copy of itself from memory, or one that it deletes before; both as `leaf 6`.
 * killed: calls getppid 4 times, then mkdirat, for which its filter ends it.
 * memory: takes more than it may have.
 * slow: executes `leaf 6` while 500 other threads wait, which are ended first.
 * words WORD...: 2 calls. */
#include "counted.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

static void call(long times) {
  for (long i = 0; i < times; i++) syscall(SYS_getppid);
}

static char own[4096];

static void become_leaf(const char *path) { execl(path, "leaf", "leaf", "6", NULL); }

static void child_that_executes(void) {
  call(3);
  execl("/nowhere/at/all", "nothing", NULL);
  call(4);
  become_leaf(own);
}

static int copy_into(int to) {
  int from = open(own, O_RDONLY | O_CLOEXEC);
  struct stat state;
  fstat(from, &state);
  for (long sent = 0; sent < state.st_size;) sent += sendfile(to, from, NULL, state.st_size - sent);
  return to;
}

static pthread_barrier_t barrier;
static void *named(void *number) {
  char name[16];
  snprintf(name, sizeof(name), "worker-%ld", (long)number);
  prctl(PR_SET_NAME, name);
  pthread_barrier_wait(&barrier);
  call(10 * (long)number);
  pthread_barrier_wait(&barrier);
  return NULL;
}

static void *rest(void *unused) {
  pause();
  return unused;
}

static void filter_mkdirat(void) {
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mkdirat, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof(filter) / sizeof(*filter), filter};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) exit(9);
}

int main(int count, char **words) {
  const char *what = words[1];
  long times = count > 2 ? atol(words[2]) : 0;
  if (readlink("/proc/self/exe", own, sizeof(own) - 1) < 0) return 9;
  if (strcmp(what, "shim") == 0) {
    char name[32], next[24];
    call(times);
    if (times == 0) return 5;
    snprintf(name, sizeof(name), "shim%ld", times - 10);
    snprintf(next, sizeof(next), "%ld", times - 10);
    execl(own, name, "shim", next, NULL);
  } else if (strcmp(what, "fork") == 0) {
    if (fork() == 0) child_that_executes();
    wait(NULL);
    call(5);
  } else if (strcmp(what, "vfork") == 0) {
    if (vfork() == 0) child_that_executes();
    wait(NULL);
    call(5);
  } else if (strcmp(what, "only") == 0) {
    if (syscall(SYS_clone, SIGCHLD | CLONE_VM | CLONE_VFORK, 0, 0, 0, 0) == 0) become_leaf(own);
    wait(NULL);
  } else if (strcmp(what, "leaf") == 0 || strcmp(what, "words") == 0) {
    call(strcmp(what, "leaf") ? 2 : times);
  } else if (strcmp(what, "title") == 0) {
    call(5);
    size_t room = words[count - 1] + strlen(words[count - 1]) - words[0];
    memset(words[0], 0, room);
    snprintf(words[0], room, "demo: worker idle");
    prctl(PR_SET_NAME, "renamed");
    call(600);
    wait_for_go();
  } else if (strcmp(what, "threads") == 0) {
    pthread_t threads[64];
    pthread_barrier_init(&barrier, NULL, times);
    for (long i = 0; i < times; i++) pthread_create(&threads[i], NULL, named, (void *)(i + 1));
    for (long i = 0; i < times; i++) pthread_join(threads[i], NULL);
  } else if (strcmp(what, "memfd") == 0) {
    int file = copy_into(memfd_create("payload", MFD_CLOEXEC));
    fexecve(file, (char *[]){"leaf", "leaf", "6", NULL}, (char *[]){NULL});
  } else if (strcmp(what, "deleted") == 0) {
    int file = copy_into(open(words[2], O_WRONLY | O_CREAT | O_CLOEXEC, 0755));
    close(file);
    file = open(words[2], O_RDONLY | O_CLOEXEC);
    unlink(words[2]);
    fexecve(file, (char *[]){"leaf", "leaf", "6", NULL}, (char *[]){NULL});
  } else if (strcmp(what, "killed") == 0) {
    if (fork() == 0) {
      filter_mkdirat();
      call(4);
      syscall(SYS_mkdirat, AT_FDCWD, "/nowhere/at/all", 0);
    }
    wait(NULL);
  } else if (strcmp(what, "slow") == 0) {
    pthread_t thread;
    for (int i = 0; i < 500; i++) pthread_create(&thread, NULL, rest, NULL);
    prctl(PR_SET_NAME, "before");
    become_leaf(own);
  } else if (strcmp(what, "memory") == 0) {
    if (fork() == 0)
      for (;;) memset(mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 1, 1 << 20);
    wait(NULL);
  }
  return 0;
}

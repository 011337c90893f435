/* odd_entries WAY: calls whose entry or return goes an odd way: filters, tracers, signals, jumps. */
#include "counted.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/time.h>
#include <sys/user.h>

static void check(int wrong) {
  if (wrong) exit(9);
}

static int filter(int nr, unsigned answer, int flags) {
  struct sock_filter lines[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, answer),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {4, lines};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  int fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
  check(fd < 0);
  return fd;
}

static volatile int traps;
static void on_trap(int signal) { (void)signal, traps++; }

/* The filter sends a signal instead of making the call: no error, and no length. */
static void trap(void) {
  signal(SIGSYS, on_trap);
  filter(SYS_getppid, SECCOMP_RET_TRAP, 0);
  for (int i = 0; i < 30; i++) syscall(SYS_getppid);
  check(traps != 30);
  tell_abi("getppid", "-", 30, 0, 0, 0);
}

/* The filter ends the thread or asks a tracer that is not there. */
static void *dies(void *unused) {
  for (int i = 0; i < 10; i++) syscall(SYS_getpgid, 0);
  filter(SYS_getppid, SECCOMP_RET_KILL_THREAD, 0);
  syscall(SYS_getppid);
  exit(9);
  return unused;
}
static void kills(void) {
  pthread_t id;
  for (int i = 0; i < 5; i++) {
    pthread_create(&id, NULL, dies, NULL);
    pthread_join(id, NULL);
  }
  filter(SYS_getuid, SECCOMP_RET_TRACE, 0);
  for (int i = 0; i < 10; i++) check(syscall(SYS_getuid) != -1 || errno != ENOSYS);
  tell("getppid", 0, 0);
  tell("getpgid", 50, 0);
  tell_abi("getuid", "-", 10, 10, 0, 0);
}

static int asked;
static void *answers(void *unused) {
  for (int i = 0; i < 30; i++) {
    struct seccomp_notif question = {0};
    struct seccomp_notif_resp answer = {0};
    check(ioctl(asked, SECCOMP_IOCTL_NOTIF_RECV, &question));
    answer.id = question.id;
    if (i % 3 == 0) answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    if (i % 3 == 1) answer.error = -EACCES;
    if (i % 3 == 2) answer.val = 77;
    check(ioctl(asked, SECCOMP_IOCTL_NOTIF_SEND, &answer));
  }
  return unused;
}
/* Somebody is asked about each call: a third goes on, a third fails, a third is answered without being made. */
static void notify(void) {
  pthread_t id;
  asked = filter(SYS_getppid, SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER);
  pthread_create(&id, NULL, answers, NULL);
  for (int i = 0; i < 30; i++) syscall(SYS_getppid);
  pthread_join(id, NULL);
  tell_abi("getppid", "-", 30, 10, 0, 10);
}

static void *asks(void *unused) {
  syscall(SYS_getppid);
  return unused;
}
/* Nobody answers: a call that hangs before the kernel has begun to make it. For a byte one more thread asks. */
static void held(void) {
  pthread_t id;
  asked = filter(SYS_getppid, SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER);
  for (char byte; pthread_create(&id, NULL, asks, NULL) == 0;) {
    usleep(20000);
    if (write(1, "asked\n", 6) != 6 || read(0, &byte, 1) != 1) break;
  }
}

/* A tracer answers calls by itself (as gVisor's ptrace platform), or makes other calls of them. */
static void traced(int emulated) {
  pid_t child = fork();
  int status, entry = 1;
  if (child == 0) {
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    raise(SIGSTOP);
    for (int i = 0; i < 20; i++) syscall(SYS_getppid);
    _exit(0);
  }
  waitpid(child, &status, 0);
  for (int seen = 0;; ) {
    ptrace(emulated && seen < 20 ? PTRACE_SYSEMU : PTRACE_SYSCALL, child, NULL, NULL);
    if (waitpid(child, &status, 0) < 0 || WIFEXITED(status)) break;
    long nr = ptrace(PTRACE_PEEKUSER, child, offsetof(struct user_regs_struct, orig_rax), NULL);
    if (nr != SYS_getppid && nr != SYS_getpgrp) continue;
    seen++;
    if (emulated) {
      ptrace(PTRACE_POKEUSER, child, offsetof(struct user_regs_struct, rax), 5L);
    } else if (entry) {
      ptrace(PTRACE_POKEUSER, child, offsetof(struct user_regs_struct, orig_rax), (long)SYS_getpgrp);
    }
    entry = !entry;
  }
  if (emulated) {
    tell_abi("getppid", "-", 20, 0, 0, 0);
  } else {
    tell("getppid", 0, 0);
    tell("getpgrp", 20, 0);
  }
}

static sigjmp_buf back;
static void jumps(int signal) { (void)signal, siglongjmp(back, 1); }
static void sleeps(int signal) {
  if (signal == SIGALRM) syscall(SYS_nanosleep, &(struct timespec){0, 1000000}, NULL);
}
static void alarm_soon(void (*handler)(int)) {
  struct sigaction action = {.sa_handler = handler};
  sigaction(SIGALRM, &action, NULL);
  setitimer(ITIMER_REAL, &(struct itimerval){.it_value = {.tv_usec = 3000}}, NULL);
}
/* Out of a call by a jump from the handler: it never returns to the program, and the next call has its own length. */
static void jump(void) {
  for (volatile int i = 0; i < 20; i++) {
    if (sigsetjmp(back, 1) == 0) {
      alarm_soon(jumps);
      syscall(SYS_nanosleep, &(struct timespec){10, 0}, NULL);
    }
    syscall(SYS_getppid);
  }
  tell_abi("nanosleep", "-", 20, 0, 20, 20);
  tell("getppid", 20, 0);
}
/* A handler that makes the same call as the one that it interrupts. */
static void nested(void) {
  for (int i = 0; i < 20; i++) {
    alarm_soon(sleeps);
    syscall(SYS_nanosleep, &(struct timespec){10, 0}, NULL);
  }
  tell_abi("nanosleep", "-", 40, 0, 20, 40);
  tell_abi("rt_sigreturn", "-", 20, 0, 0, 0);
}

static volatile long handled;
static void counts(int signal) { (void)signal, handled++; }
static void signals(void) {
  signal(SIGUSR1, counts);
  siginfo_t info = {.si_code = SI_QUEUE};
  pid_t pid = getpid();
  for (int i = 0; i < 5000; i++) {
    check(syscall(SYS_rt_tgsigqueueinfo, pid, gettid(), SIGUSR1, &info));
    syscall(SYS_getppid);
  }
  check(handled != 5000);
  tell("rt_tgsigqueueinfo", 5000, 0);
  tell("getppid", 5000, 0);
  tell_abi("rt_sigreturn", "-", 5000, 0, 0, 0);
}

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif
static volatile char selector;
static void lets_go(int signal) { (void)signal, traps++, selector = 0; }
/* The program has its own calls sent back to itself (as Wine does): the kernel makes none of them. */
static void dispatched(void) {
  signal(SIGSYS, lets_go);
  check(prctl(PR_SET_SYSCALL_USER_DISPATCH, 1, 0, 0, &selector));
  for (int i = 0; i < 15; i++) {
    selector = 1;
    syscall(SYS_getppid); /* its signal opens the way for what follows */
    syscall(SYS_getpgid, 0);
  }
  check(traps != 15);
  tell("getppid", 0, 0);
  tell("getpgid", 15, 0);
}

/* A thread of the kernel takes the work from the ring: it makes no calls and is inside of none. */
static void ring(void) {
  struct io_uring_params parameters = {.flags = IORING_SETUP_SQPOLL, .sq_thread_idle = 1000};
  int fd = syscall(SYS_io_uring_setup, 8, &parameters);
  for (int i = 0; i < 10; i++) syscall(SYS_getppid);
  tell("io_uring_setup", 1, fd < 0);
  tell("getppid", 10, 0);
}

/* The kernel answers for the old page of calls by itself: time() through it is no call. */
static void vsyscalls(void) {
  long (*old_time)(long *) = (void *)0xffffffffff600400;
  FILE *maps = fopen("/proc/self/maps", "r");
  char line[256];
  int there = 0;
  while (maps && fgets(line, sizeof(line), maps)) there |= strstr(line, "[vsyscall]") != NULL;
  for (int i = 0; there && i < 10; i++) old_time(NULL);
  syscall(SYS_getppid);
  tell("time", 0, 0);
  tell("getppid", 1, 0);
}

int main(int count, char **words) {
  const struct { const char *name; void (*run)(void); } ways[] = {
      {"trap", trap}, {"kills", kills}, {"notify", notify}, {"jump", jump}, {"nested", nested},
      {"held", held}, {"signals", signals}, {"dispatched", dispatched}, {"ring", ring}, {"vsyscalls", vsyscalls},
  };
  if (count != 2) return 2;
  if (!strcmp(words[1], "emulated") || !strcmp(words[1], "renumbered")) return traced(words[1][0] == 'e'), 0;
  for (unsigned i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
    if (!strcmp(words[1], ways[i].name)) return ways[i].run(), 0;
  }
  return 2;
}

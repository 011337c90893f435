/* Threads that hang, each in another call, and threads that are inside none: two that compute, one that has a call
 * behind it that is not there (ENOSYS) and computes. For a byte on standard input one more thread hangs, in a read of a
 * pipe; "r" lets that one go. Prints "NAME TID NS" for each that hangs: the time just before (CLOCK_MONOTONIC). */
#include "counted.h"
#include <linux/futex.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>

static int word, ends[2], pair[2], file;
static const char *path;

static void say(const char *name) {
  struct timespec t;
  char line[64];
  clock_gettime(CLOCK_MONOTONIC, &t);
  int size = sprintf(line, "%s %d %lld\n", name, gettid(), t.tv_sec * 1000000000LL + t.tv_nsec);
  if (write(1, line, size) != size) exit(9);
}

static void *in_read(void *from) {
  char byte;
  say("read");
  if (read(*(int *)from, &byte, 1) < 0) exit(9);
  return NULL;
}
static void *in_recv(void *unused) {
  char byte;
  say("recvfrom");
  recv(pair[0], &byte, 1, 0);
  return unused;
}
static void *in_futex(void *unused) {
  say("futex");
  syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
  return unused;
}
static void *in_flock(void *unused) {
  int again = open(path, O_RDWR);
  say("flock");
  flock(again, LOCK_EX);
  return unused;
}
static void *in_poll(void *unused) {
  struct pollfd nothing = {.fd = pair[1], .events = POLLIN};
  say("poll");
  poll(&nothing, 1, -1);
  return unused;
}
static void *in_fcntl(void *none) {
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  int held[2];
  char byte;
  if (pipe(held)) exit(9);
  if (fork() == 0) { /* the holder, which ends with this thread */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (fcntl(file, F_SETLK, &lock) || write(held[1], "x", 1) != 1) _exit(9);
    _exit(pause());
  }
  if (read(held[0], &byte, 1) != 1) exit(9);
  say("fcntl");
  fcntl(file, F_SETLKW, &lock);
  return none;
}
static void *computing(void *after_nothing) {
  if (after_nothing) syscall(999);
  for (volatile long i = 0;; i++) {}
  return NULL;
}

int main(int count, char **words) {
  pthread_t id;
  void *(*all[])(void *) = {in_recv, in_futex, in_flock, in_poll, in_fcntl};
  path = words[1];
  if (count != 2 || pipe(ends) || socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) return 2;
  file = open(path, O_RDWR | O_CREAT, 0600);
  if (flock(file, LOCK_EX)) return 2;
  for (int i = 0; i < 5; i++) pthread_create(&id, NULL, all[i], NULL);
  for (int i = 0; i < 3; i++) pthread_create(&id, NULL, computing, i == 2 ? &word : NULL);
  in_read(&(int){0});
  pthread_create(&id, NULL, in_read, &ends[0]);
  for (;;) {
    char byte;
    say("read");
    if (read(0, &byte, 1) != 1) exit(0);
    if (byte == 'r' && write(ends[1], "x", 1) != 1) exit(9);
  }
}

/* Calls by descriptors that waited for the other end, for 20 ms each, and others that did not, however long they took.
 * Argument: a file to make. Prints "NAME ABI WORKED WAITED". */
#include "counted.h"
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>

static char big[16 << 20];
static char byte;

/* A child that does something later; by write, which is not told. */
static void later(int (*act)(int), int fd) {
  if (fork() == 0) {
    usleep(20000);
    _exit(act(fd));
  }
}
static int say(int fd) { return write(fd, "x", 1) != 1; }
static int say_line(int fd) { return write(fd, "\n", 1) != 1; }
static int count_up(int fd) { return write(fd, &(long){1}, 8) != 8; }
static int drain(int fd) { return splice(fd, NULL, open("/dev/null", O_WRONLY), NULL, 1 << 20, 0) < 0; }
static int take(int fd) { return accept(fd, NULL, NULL) < 0; }
static void check(int wrong) {
  if (wrong) exit(9);
}

static void from_sockets(void) {
  int ends[2];
  check(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
  for (int i = 0; i < 3; i++) {
    later(say, ends[1]);
    check(recv(ends[0], &byte, 1, 0) != 1);
  }
  tell_abi("recvfrom", "-", 0, 3, 0, 0);
}

static void from_others(void) {
  int ends[2], event = eventfd(0, 0), ours = posix_openpt(O_RDWR | O_NOCTTY), theirs;
  int timer = timerfd_create(CLOCK_MONOTONIC, 0);
  struct itimerspec soon = {.it_value.tv_nsec = 20000000};
  long count;
  check(pipe(ends) || grantpt(ours) || unlockpt(ours));
  theirs = open(ptsname(ours), O_RDWR | O_NOCTTY);
  for (int i = 0; i < 2; i++) {
    later(say, ends[1]);
    check(read(ends[0], &byte, 1) != 1);
  }
  later(count_up, event);
  check(read(event, &count, 8) != 8);
  check(timerfd_settime(timer, 0, &soon, NULL) || read(timer, &count, 8) != 8);
  later(say_line, ours);
  check(read(theirs, &byte, 1) != 1);
  tell_abi("read", "-", 0, 5, 0, 0);
#ifdef __x86_64__
  later(say, ends[1]);
  check(old_call(3, ends[0], (long)&byte, 1, 0) != 1);
  tell_abi("read", "i386", 0, 1, 0, 0);
#endif
}

static void to_full_ones(const char *path) {
  struct iovec much = {big, 1 << 16};
  struct sockaddr_un name = {.sun_family = AF_UNIX};
  int ends[2], file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600), server = socket(AF_UNIX, SOCK_STREAM, 0);
  check(pipe(ends) || write(ends[1], big, 1 << 16) != 1 << 16);
  later(drain, ends[0]);
  check(writev(ends[1], &much, 1) != 1 << 16);
  for (int i = 0; i < 5; i++) check(writev(file, &(struct iovec){big, sizeof(big)}, 1) != sizeof(big));
  tell_abi("writev", "-", 5, 1, 0, 0);
  for (int i = 0; i < 5; i++) check(lseek(file, 0, SEEK_SET) || readv(file, &(struct iovec){big, sizeof(big)}, 1) < 1);
  int zeros = open("/dev/zero", O_RDONLY);
  for (int i = 0; i < 3; i++) check(readv(zeros, &(struct iovec){big, sizeof(big)}, 1) != sizeof(big));
  tell_abi("readv", "-", 8, 0, 0, 0);
  snprintf(name.sun_path + 1, 100, "kubestrace-%d", getpid());
  check(bind(server, (void *)&name, sizeof(name)) || listen(server, 0));
  check(connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&name, sizeof(name))); /* fills the backlog of one */
  later(take, server);
  check(connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&name, sizeof(name)));
  tell_abi("connect", "-", 1, 1, 0, 0);
}

int main(int count, char **words) {
  if (count != 2) return 2;
  from_sockets();
  from_others();
  to_full_ones(words[1]);
  while (wait(NULL) > 0) {}
  return 0;
}

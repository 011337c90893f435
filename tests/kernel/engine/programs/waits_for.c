/* Waits for descriptors of fixed numbers, for 30 ms each time: a TCP socket (100), a pipe (101), an eventfd (102), a
 * timerfd (103), epolls (104 with two of them, 105 with ten), a terminal (106), and the pipe once more (700).
 * Prints the port of the socket's peer; with an argument it then hangs in that call, for ever. */
#include "counted.h"
#include <arpa/inet.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

enum { PEER = 100, PIPE, EVENT, TIMER, FEW, MANY, TERMINAL, FAR = 700 };
#define MS 30

static void check(int wrong) {
  if (wrong) exit(9);
}

static void move(int from, int to) {
  check(from < 0 || dup2(from, to) != to);
}

static void add(int epoll, int fd, unsigned events) {
  check(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = events}));
}

static void open_all(void) {
  struct sockaddr_in self = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof(self);
  int listener = socket(AF_INET, SOCK_STREAM, 0), ends[2], terminal = posix_openpt(O_RDWR | O_NOCTTY);
  check(bind(listener, (void *)&self, size) || listen(listener, 1) || getsockname(listener, (void *)&self, &size));
  move(socket(AF_INET, SOCK_STREAM, 0), PEER);
  check(connect(PEER, (void *)&self, size) || pipe(ends) || grantpt(terminal) || unlockpt(terminal));
  move(ends[0], PIPE);
  move(ends[0], FAR);
  move(eventfd(0, 0), EVENT);
  move(timerfd_create(CLOCK_MONOTONIC, 0), TIMER);
  move(open(ptsname(terminal), O_RDWR | O_NOCTTY), TERMINAL);
  move(epoll_create1(0), FEW);
  move(epoll_create1(0), MANY);
  add(FEW, PEER, EPOLLIN | EPOLLRDHUP | EPOLLET);
  add(FEW, EVENT, EPOLLIN);
  for (int i = 0; i < 10; i++) {
    move(PIPE, 200 + i);
    add(MANY, 200 + i, EPOLLIN);
  }
  printf("port %d\n", ntohs(self.sin_port));
  fflush(stdout);
}

static fd_set *set(fd_set *of, int first, int second) {
  FD_ZERO(of);
  if (first) FD_SET(first, of);
  if (second) FD_SET(second, of);
  return of;
}

static void with_poll(int ms) {
  struct pollfd few[] = {{PEER, POLLIN | POLLRDHUP, 0}, {PIPE, POLLIN | POLLPRI, 0}, {-5, POLLOUT, 0}, {TERMINAL, POLLIN, 0}};
  struct pollfd many[12];
  for (int i = 0; i < 12; i++) many[i] = (struct pollfd){PIPE, POLLIN, 0};
  check(poll(few, 4, ms));
  check(poll(many, 12, ms));
  check(poll(NULL, 0, ms));
  check(ppoll(&(struct pollfd){TIMER, POLLIN, 0}, 1, &(struct timespec){0, ms * 1000000}, NULL));
}

static void with_select(void) {
  fd_set read, write, except;
  struct timeval soon = {0, MS * 1000};
  check(select(FAR + 1, set(&read, PIPE, FAR), NULL, set(&except, PEER, PIPE), &soon));
  soon = (struct timeval){0, MS * 1000};
  /* What is ready is all that it leaves in the sets. */
  if (fork() == 0) {
    usleep(1000 * MS);
    _exit(eventfd_write(EVENT, 1));
  }
  check(select(EVENT + 1, set(&read, PIPE, EVENT), set(&write, 0, 0), NULL, NULL) != 1 || FD_ISSET(PIPE, &read));
  check(pselect(0, NULL, NULL, NULL, &(struct timespec){0, MS * 1000000}, NULL));
  /* A bit beyond the first argument does not count. */
  check(pselect(PIPE + 1, set(&read, PIPE, EVENT), NULL, NULL, &(struct timespec){0, MS * 1000000}, NULL));
  check(eventfd_read(EVENT, &(eventfd_t){0}));
}

static void with_epoll(int ms) {
  struct epoll_event found[2];
  check(epoll_wait(FEW, found, 2, ms));
  check(epoll_pwait(MANY, found, 2, ms, NULL));
}

#ifdef __x86_64__
static struct pollfd old_array = {EVENT, POLLIN, 0};
static fd_set old_set;
static struct {
  int seconds, microseconds;
} old_time = {0, MS * 1000};

static void with_old_calls(void) {
  FD_SET(EVENT, &old_set);
  check(old_call(168, (long)&old_array, 1, MS, 0));
  register long fifth asm("rdi") = (long)&old_time;
  long ret;
  asm volatile("int $0x80" : "=a"(ret) : "a"(142), "b"(EVENT + 1), "c"(&old_set), "d"(0), "S"(0), "r"(fifth)
               : "memory", "r8", "r9", "r10", "r11");
  check(ret);
}
#endif

int main(int count, char **words) {
  fd_set read;
  check(setrlimit(RLIMIT_NOFILE, &(struct rlimit){1024, 1024}));
  open_all();
  if (count > 1) {
    if (!strcmp(words[1], "poll")) with_poll(-1);
    if (!strcmp(words[1], "select")) select(PIPE + 1, set(&read, PIPE, PEER), NULL, NULL, NULL);
    if (!strcmp(words[1], "epoll_wait")) with_epoll(-1);
    return 9;
  }
  with_poll(MS);
  with_select();
  with_epoll(MS);
#ifdef __x86_64__
  with_old_calls();
#endif
  return 0;
}

/* Calls that fail, with long paths, addresses of all kinds and nameless files; written: two that wait 20 ms for an address.
 * Usage: names deep|long|unix|peers|files|written FOLDER */
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>

#include "counted.h"

static void expect(long result, int error) {
  if (result >= 0 || errno != error) exit(3);
}

/* A short path in four folders with names of 100 bytes, and one of 128 bytes there. */
static void deep(const char *folder) {
  char name[101] = "", path[200] = "";
  int at = open(folder, O_DIRECTORY);
  memset(name, 'n', 100);
  for (int i = 0; i < 4; i++) {
    name[0] = 'A' + i;
    if (mkdirat(at, name, 0700)) exit(4);
    at = openat(at, name, O_DIRECTORY);
  }
  expect(openat(at, "missing", O_RDONLY), ENOENT);
  for (int i = 0; i < 60; i++) strcat(path, "./");
  expect(mkdirat(at, strcat(path, "missing/x"), 0), ENOENT);
}

/* 254 and 299 bytes. */
static void long_paths(void) {
  char path[300];
  memset(path, '/', sizeof(path));
  memcpy(path, "/nowhere", 8);
  path[299] = 0;
  expect(rmdir(path), ENOENT);
  path[254] = 0;
  expect(unlink(path), ENOENT);
}

static void unix_addresses(void) {
  struct sockaddr_un a = {AF_UNIX, "/run/no-such.sock-old"};
  int u = socket(AF_UNIX, SOCK_STREAM, 0);
  expect(connect(u, (void *)&a, 2 + 17), ENOENT);
  expect(connect(u, (void *)&a, 2), EINVAL);
  memset(&a.sun_path, 'P', 107);
  a.sun_path[107] = 'Z';
  expect(connect(u, (void *)&a, sizeof(a)), ENOENT);
  memset(&a.sun_path, 0, sizeof(a.sun_path));
  strcpy(a.sun_path + 1, "abstract-and-stale");
  expect(connect(u, (void *)&a, 2 + 9), ECONNREFUSED);
  /* It fails, and what stands in the address is old. */
  socklen_t size = sizeof(a);
  strcpy(a.sun_path, "stale");
  expect(accept(u, (void *)&a, &size), EINVAL);
}

/* Who refuses, in turns. Nobody listens at port 1. */
static void peers(void) {
  struct sockaddr_in four = {AF_INET, htons(1), {htonl(INADDR_LOOPBACK)}, ""};
  struct sockaddr_in6 six = {AF_INET6, htons(1), 0, IN6ADDR_LOOPBACK_INIT, 0};
  struct sockaddr_un named = {AF_UNIX, "\0nobody-listens"};
  for (int i = 0; i < 3; i++) {
    expect(connect(socket(AF_INET, SOCK_STREAM, 0), (void *)&four, sizeof(four)), ECONNREFUSED);
    connect(socket(AF_INET6, SOCK_STREAM, 0), (void *)&six, sizeof(six));
    expect(connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&named, 2 + 15), ECONNREFUSED);
  }
  int any = socket(AF_INET, SOCK_DGRAM, 0);
  for (int i = 0; i < 2; i++) {
    four.sin_addr.s_addr = htonl(0xe0000000 - 1 - i); /* 223.255.255.255: no datagram is so long */
    expect(sendto(any, NULL, 70000, 0, (void *)&four, sizeof(four)), EMSGSIZE);
  }
}

/* A failing call for each. */
static void files(const char *folder) {
  char word[8], path[200];
  sigset_t none;
  sigemptyset(&none);
  expect(ftruncate(syscall(SYS_memfd_create, "notes", 0), -1), EINVAL);
  expect(read(eventfd(0, 0), word, 1), EINVAL);
  expect(flock(epoll_create1(0), 16), EINVAL);
  expect(lseek(timerfd_create(CLOCK_MONOTONIC, 0), 0, 99), EINVAL);
  expect(syscall(SYS_getdents64, signalfd(-1, &none, 0), word, 8), ENOTDIR);
  expect(fchdir(syscall(SYS_pidfd_open, getpid(), 0)), ENOTDIR);
  snprintf(path, sizeof(path), "%s/gone", folder);
  int gone = open(path, O_CREAT | O_RDWR, 0600);
  unlink(path);
  expect(pread(gone, word, 1, -1), EINVAL);
  expect(dup2(open("/", O_DIRECTORY), -1), EBADF);
}

/* Receives after 20 ms from `from`, into an address that holds something else and has room for 16 bytes. */
static void receive(int family, const struct sockaddr *to, const struct sockaddr *from, socklen_t size) {
  struct sockaddr_un got = {0, "stale-stale-stale-stale-stale-stale"};
  socklen_t room = 16;
  char word;
  int s = socket(family, SOCK_DGRAM, 0);
  if (bind(s, to, size)) exit(5);
  if (fork() == 0) {
    int out = socket(family, SOCK_DGRAM, 0);
    if (bind(out, from, size)) _exit(6);
    usleep(20000);
    _exit(sendto(out, "x", 1, 0, to, size) != 1);
  }
  if (recvfrom(s, &word, 1, 0, (void *)&got, &room) != 1) exit(7);
  wait(NULL);
}

static void written(void) {
  struct sockaddr_un to = {AF_UNIX, "\0kubestrace-names-here"}, from = {AF_UNIX, "\0kubestrace-names-there"};
  receive(AF_UNIX, (void *)&to, (void *)&from, 2 + 22);
  struct sockaddr_in here = {AF_INET, htons(47123), {htonl(INADDR_LOOPBACK)}, ""}, there = here;
  there.sin_addr.s_addr = htonl(0x7f000002);
  receive(AF_INET, (void *)&here, (void *)&there, sizeof(here));
}

int main(int count, char **words) {
  if (count != 3) return 2;
  if (strcmp(words[1], "deep") == 0) deep(words[2]);
  if (strcmp(words[1], "long") == 0) long_paths();
  if (strcmp(words[1], "unix") == 0) unix_addresses();
  if (strcmp(words[1], "peers") == 0) peers();
  if (strcmp(words[1], "files") == 0) files(words[2]);
  if (strcmp(words[1], "written") == 0) written();
  return 0;
}

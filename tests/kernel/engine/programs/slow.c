/* Slow calls of known kinds: each waits for a child that lets it go after 30 ms. Argument: a folder of its own.
 * Prints for each the call, when it began (Unix time, ns), how long it took (ns) and a number that its arguments have. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void rest(void) { nanosleep(&(struct timespec){0, 30000000}, NULL); }

static long long began;
static void begin(void) { began = now(); }
static void tell(const char *name, long number) { printf("%s %lld %lld %ld\n", name, began, now() - began, number); }

/* The child holds a lock on the file and rests; the parent asks for the lock. */
static void wait_for_lock(void) {
  int file = open("file", O_RDWR | O_CREAT, 0600), said[2];
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  char byte;
  if (file < 0 || pipe(said)) exit(2);
  if (fork() == 0) {
    if (fcntl(file, F_SETLK, &lock) || write(said[1], "x", 1) != 1) _exit(2);
    rest();
    _exit(0);
  }
  if (read(said[0], &byte, 1) != 1) exit(2);
  begin();
  if (fcntl(file, F_SETLKW, &lock)) exit(2);
  tell("fcntl", file);
  wait(NULL);
}

/* The path holds a terminal's escape and a quote. */
static void wait_for_opener(void) {
  const char *path = "a \033[31m\"fifo";
  if (mkfifo(path, 0600)) exit(2);
  if (fork() == 0) {
    rest();
    _exit(open(path, O_WRONLY) < 0);
  }
  begin();
  int end = open(path, O_RDONLY);
  tell("openat", end);
  wait(NULL);
}

static void wait_for_peer(void) {
  int server = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof(address);
  char secret[] = "never-to-be-seen", byte[32];
  if (bind(server, (void *)&address, size) || listen(server, 1)) exit(2);
  if (getsockname(server, (void *)&address, &size) || connect(client, (void *)&address, size)) exit(2);
  int accepted = accept(server, NULL, NULL);
  if (fork() == 0) {
    rest();
    _exit(write(accepted, secret, sizeof(secret)) < 0);
  }
  begin();
  if (recv(client, byte, sizeof(byte), 0) <= 0) exit(2);
  tell("recvfrom", ntohs(address.sin_port));
  wait(NULL);
}

int main(int count, char **words) {
  if (count != 2 || chdir(words[1])) return 2;
  prctl(PR_SET_NAME, "slow\033[1mname");
  wait_for_lock();
  wait_for_opener();
  wait_for_peer();
  begin();
  rest();
  tell("clock_nanosleep", 0);
  printf("pid %d\n", getpid());
  return 0;
}

/* Works with objects: objects paths|connections|blocks FOLDER. Speaks as loop.c does: for each line with milliseconds
 * it says how many calls it made and the nanoseconds of one unit, as the quickest tenth of batches had it.
 *
 * paths: stat, open, read of a byte and close of a file, by its whole path; a unit is one call.
 * connections: connect, accept and close over loopback, both ends; a unit is one connection, of six calls.
 * blocks: a read of 4 KiB past the page cache; a unit is one read. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FILES 50
#define BLOCKS 256
#define MOST_BATCHES 100000

static char names[FILES][400];
static struct sockaddr_in address = {.sin_family = AF_INET};
static int listener, blocks;
static char *block;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static double now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1e9 + now.tv_nsec;
}

static void prepare_paths(const char *folder) {
  for (int i = 0; i < FILES; i++) {
    snprintf(names[i], sizeof(names[i]), "%s/one-of-many-files-%d", folder, i);
    int fd = open(names[i], O_WRONLY | O_CREAT, 0600);
    if (fd < 0 || write(fd, "x", 1) != 1) fail(names[i]);
    close(fd);
  }
}

static void paths(void) {
  struct stat status;
  char byte;
  for (int i = 0; i < FILES; i++) {
    stat(names[i], &status);
    int fd = open(names[i], O_RDONLY);
    if (read(fd, &byte, 1) != 1) fail(names[i]);
    close(fd);
  }
}

static void prepare_connections(const char *folder) {
  socklen_t length = sizeof(address);
  listener = socket(AF_INET, SOCK_STREAM, 0);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(listener, (struct sockaddr *)&address, length) || listen(listener, 16)) fail(folder);
  getsockname(listener, (struct sockaddr *)&address, &length);
}

/* Reset at their end: none stays behind in TIME_WAIT, and ports do not run out. */
static void connections(void) {
  struct linger reset = {1, 0};
  for (int i = 0; i < 20; i++) {
    int client = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(client, (struct sockaddr *)&address, sizeof(address))) fail("connect");
    int server = accept(listener, NULL, NULL);
    setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(client);
    close(server);
  }
}

static void prepare_blocks(const char *folder) {
  char name[400];
  snprintf(name, sizeof(name), "%s/blocks", folder);
  block = aligned_alloc(4096, 4096);
  memset(block, 'x', 4096);
  blocks = open(name, O_RDWR | O_CREAT | O_DIRECT, 0600);
  for (int i = 0; i < BLOCKS; i++)
    if (pwrite(blocks, block, 4096, i * 4096L) != 4096) fail(name);
  fsync(blocks);
}

static void direct(void) {
  static unsigned at;
  for (int i = 0; i < 10; i++)
    if (pread(blocks, block, 4096, at++ % BLOCKS * 4096L) != 4096) fail("pread");
}

static int ascending(const void *a, const void *b) {
  double left = *(const double *)a, right = *(const double *)b;
  return (left > right) - (left < right);
}

static const struct kind {
  const char *name;
  void (*prepare)(const char *folder);
  void (*batch)(void);
  int units, calls;
} kinds[] = {
    {"paths", prepare_paths, paths, 4 * FILES, 4 * FILES},
    {"connections", prepare_connections, connections, 20, 6 * 20},
    {"blocks", prepare_blocks, direct, 10, 10},
};

int main(int argc, char **argv) {
  const struct kind *kind = NULL;
  for (int i = 0; i < 3; i++)
    if (argc == 3 && !strcmp(argv[1], kinds[i].name)) kind = &kinds[i];
  if (!kind) return 2;
  kind->prepare(argv[2]);
  double *all = malloc(sizeof(double) * MOST_BATCHES);
  char line[64];
  puts("ready");
  fflush(stdout);
  while (fgets(line, sizeof(line), stdin)) {
    double from = now_ns(), end = from + atof(line) * 1e6;
    long batches = 0;
    for (; from < end && batches < MOST_BATCHES; batches++) {
      kind->batch();
      double to = now_ns();
      all[batches] = (to - from) / kind->units;
      from = to;
    }
    qsort(all, batches, sizeof(double), ascending);
    printf("%ld %.2f\n", batches * kind->calls, all[batches / 10]);
    fflush(stdout);
  }
  return 0;
}

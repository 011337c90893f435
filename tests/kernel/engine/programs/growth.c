/* A program whose functions add memory, each a known amount. On a line of input each does so, as test_memory_growth.py has them,
 * and the program says "done". "churn" maps and unmaps 1 MiB 5,000 times. On the next line it ends. */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MIB (1 << 20)
#define OWN __attribute__((noinline))

static int read_write = PROT_READ | PROT_WRITE, private = MAP_PRIVATE | MAP_ANONYMOUS;
static volatile long sum;

OWN void leak(void) { sum += (long)mmap(NULL, MIB, read_write, private, -1, 0); }
OWN void share(void) { sum += (long)mmap(NULL, 3 * MIB, read_write, MAP_SHARED | MAP_ANONYMOUS, -1, 0); }
OWN void by_break(void) { sum += (long)sbrk(2 * MIB); }
OWN void larger(void) {
  char *at = mmap(NULL, 4096, read_write, private, -1, 0);
  sum += (long)mremap(at, 4096, 4096 + 5 * MIB, MREMAP_MAYMOVE);
}
/* None of these is told: too small, addresses alone, failed, given back. */
OWN void others(void) {
  sum += (long)mmap(NULL, MIB - 4096, read_write, private, -1, 0);
  sum += (long)mmap(NULL, 64 * MIB, PROT_NONE, private | MAP_NORESERVE, -1, 0);
  sum += (long)mmap(NULL, 2 * MIB, read_write, MAP_PRIVATE, -1, 0);
  sbrk(-MIB);
}
/* An arena: mapped once, given back and touched again. */
OWN void arena(void) {
  char *at = mmap(NULL, 16 * MIB, read_write, private, -1, 0);
  for (int i = 0; i < 5; i++) {
    memset(at, 1, 16 * MIB);
    madvise(at, 16 * MIB, MADV_DONTNEED);
  }
}
OWN void churn(void) {
  for (int i = 0; i < 5000; i++) {
    void *at = mmap(NULL, MIB, read_write, private, -1, 0);
    sum += (long)at;
    munmap(at, MIB);
  }
}

int main(int count, char **words) {
  char line[16];
  setvbuf(stdout, NULL, _IONBF, 0);
  puts("ready");
  if (read(0, line, 1) != 1) return 1;
  if (count > 1 && !strcmp(words[1], "churn")) {
    churn();
  } else {
    for (int i = 0; i < 10; i++, usleep(100000)) leak(); /* 10 MiB in a second */
    share();
    by_break();
    larger();
    others();
    arena();
  }
  puts("done");
  return read(0, line, 1) != 1;
}

/* Slow calls below functions whose names are known: for each word on its input one of them. With frame pointers of its
 * own, and a C library that has none. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#pragma GCC optimize("no-omit-frame-pointer", "no-optimize-sibling-calls")
#define MS 1000000
#define BIG (512UL << 20)

__attribute__((noinline)) int innermost(void) {
  struct timespec length = {.tv_nsec = 30 * MS};
  return nanosleep(&length, NULL);
}
__attribute__((noinline)) int middle(void) { return innermost() + 1; }
__attribute__((noinline)) int outermost(void) { return middle() + 1; }

__attribute__((noinline)) int wait_for_input(int end) {
  char byte;
  return read(end, &byte, 1) + 1;
}

/* A child writes later. */
__attribute__((noinline)) int wait_for_child(void) {
  int ends[2];
  if (pipe(ends)) return 1;
  if (!fork()) {
    usleep(30 * 1000);
    _exit(write(ends[1], "x", 1) != 1);
  }
  return wait_for_input(ends[0]);
}

/* Works all the time: the memory is there, and zeros come from nowhere. */
__attribute__((noinline)) int work(void) {
  void *memory = mmap(NULL, BIG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  int zero = open("/dev/zero", O_RDONLY);
  return read(zero, memory, BIG) == (long)BIG;
}

int main(void) {
  char word[32];
  setvbuf(stdout, NULL, _IONBF, 0);
  while (fgets(word, sizeof(word), stdin)) {
    int done = !strncmp(word, "s", 1) ? outermost() : !strncmp(word, "p", 1) ? wait_for_child() : work();
    printf("%d\n", done);
  }
  return 0;
}

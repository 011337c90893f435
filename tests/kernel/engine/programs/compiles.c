/* Compiles a function itself, as a JIT does, and says so in a perf map: it calls what it is given. */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#pragma GCC optimize("no-omit-frame-pointer", "no-optimize-sibling-calls")

__attribute__((noinline)) void nap(void) {
  struct timespec length = {.tv_nsec = 30 * 1000 * 1000};
  nanosleep(&length, NULL);
}

int main(void) {
  /* push %rbp; mov %rsp,%rbp; call *%rdi; pop %rbp; ret */
  static const unsigned char code[] = {0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0x5d, 0xc3};
  char path[64], word[32];
  void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memcpy(memory, code, sizeof(code));
  mprotect(memory, 4096, PROT_READ | PROT_EXEC);
  snprintf(path, sizeof(path), "/tmp/perf-%d.map", getpid());
  FILE *map = fopen(path, "w");
  fprintf(map, "%lx %zx js:f\x1b[2J\n", (unsigned long)memory, sizeof(code));
  fclose(map);
  while (fgets(word, sizeof(word), stdin)) {
    ((void (*)(void (*)(void)))memory)(nap);
    puts("1");
    fflush(stdout);
  }
  unlink(path);
  return 0;
}

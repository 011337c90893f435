/* Ordinary calls: successes, errors of two kinds, pointers as results. */
#include "counted.h"
#include <sys/mman.h>

int main(void) {
  for (int i = 0; i < 1000; i++) syscall(SYS_getppid);
  for (int i = 0; i < 200; i++) syscall(SYS_faccessat, AT_FDCWD, "/nowhere/at/all", F_OK);
  for (int i = 0; i < 30; i++) syscall(SYS_flock, -1, 1);
  for (int i = 0; i < 7; i++) syscall(SYS_flock, 0, 77);
  for (int i = 0; i < 50; i++) {
    char *at = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    syscall(SYS_mremap, at, 4096, 8192, 1); /* MREMAP_MAYMOVE: a pointer, never an error */
  }
  struct timespec now;
  for (int i = 0; i < 1000; i++) clock_gettime(CLOCK_MONOTONIC, &now); /* no system call: the vDSO's */
  tell("getppid", 1000, 0);
  tell("faccessat", 200, 200);
  tell("flock", 37, 37);
  tell("mremap", 50, 0);
  tell("clock_gettime", 0, 0);
  return 0;
}

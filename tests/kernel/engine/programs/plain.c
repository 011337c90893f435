/* Ordinary calls: successes, errors of two kinds, pointers as results. */
#include "counted.h"
#include <sys/mman.h>

/* Where the clock cannot be read from user space (hpet, as on emulated machines) the vDSO makes the call itself. */
static int vdso_knows_the_clock(void) {
  char name[64] = "";
  FILE *file = fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "r");
  if (!file || !fgets(name, sizeof(name), file)) return 1;
  fclose(file);
  return strncmp(name, "hpet", 4) && strncmp(name, "acpi_pm", 7) && strncmp(name, "refined-jiffies", 15);
}

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
  tell("clock_gettime", vdso_knows_the_clock() ? 0 : 1000, 0);
  return 0;
}

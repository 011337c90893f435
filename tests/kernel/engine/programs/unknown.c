/* unknown FIRST COUNT TIMES: numbers that no table has, and one of x32. */
#include "counted.h"

int main(int argc, char **argv) {
  long first = atol(argv[1]), count = atol(argv[2]), times = atol(argv[3]);
  for (long n = 0; n < times; n++)
    for (long nr = first; nr < first + count; nr++) syscall(nr, -1, -1, -1);
  for (int i = 0; i < 3; i++) syscall(0x40000000 | 39);
  char name[32];
  for (long nr = first; nr < first + count; nr++) {
    snprintf(name, sizeof(name), "syscall_%ld", nr);
    tell(name, times, times);
  }
  tell_abi("getpid", "x32", 3, -1, 0, 3);
  return argc == 0;
}

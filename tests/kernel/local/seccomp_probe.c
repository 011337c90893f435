// Reads a file and says so; with the argument mkdir or clone3 it makes that call instead, and prints its error.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int count, char **words) {
  const char *what = count > 1 ? words[1] : "";
  char text[64];
  int file = open("/proc/self/status", O_RDONLY);
  if (file < 0 || read(file, text, sizeof(text)) != sizeof(text) || close(file)) return 3;
  long result = 0;
  if (!strcmp(what, "mkdir")) result = mkdir("/tmp/made", 0700);
  if (!strcmp(what, "clone3")) result = syscall(SYS_clone3, NULL, 0);
  printf("%s %d\n", count > 1 ? what : "read", result ? errno : 0);
  return 0;
}

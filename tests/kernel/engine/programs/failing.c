/* Calls that fail, of which the program knows how often, when and with what. Prints CALL ERRNO COUNT FIRST LAST (Unix, ns).
 * paths N: N missing files, each opened 3 times.  two: openat fails in two ways.
 * late: a futex that times out after 20 ms.  rare N: one file fails N times, and one other once amid them.  storm N: N different files. */
#include "counted.h"

static long long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void say(const char *errno_name, long count, long long first, long long last) {
  printf("openat %s %ld %lld %lld\n", errno_name, count, first, last);
  fflush(stdout);
}

static long long fail(const char *path, int error) {
  if (open(path, O_RDONLY) >= 0 || errno != error) exit(3);
  return now();
}

static void fail_at(const char *folder, long number) {
  char path[256];
  snprintf(path, sizeof(path), "/nowhere/%s/file-%ld", folder, number);
  fail(path, ENOENT);
}

int main(int count, char **words) {
  long times = count > 2 ? atol(words[2]) : 0;
  long long first = now();
  if (strcmp(words[1], "paths") == 0) {
    for (long i = 0; i < 3 * times; i++) fail_at("of/many", i % times);
    say("ENOENT", 3 * times, first, now());
  } else if (strcmp(words[1], "two") == 0) {
    for (int i = 0; i < 5; i++) fail("/nowhere/at/all", ENOENT);
    say("ENOENT", 5, first, now());
    usleep(50000);
    first = now();
    for (int i = 0; i < 3; i++) fail("/proc/self/exe/below/a/file", ENOTDIR);
    say("ENOTDIR", 3, first, now());
  } else if (strcmp(words[1], "late") == 0) {
    int word = 0;
    if (syscall(SYS_futex, &word, 0, 0, &(struct timespec){0, 20000000}, NULL, 0) == 0) return 4;
  } else if (strcmp(words[1], "rare") == 0) {
    for (long i = 0; i < times; i++) fail(i == times * 9 / 10 ? "/nowhere/rare" : "/nowhere/often", ENOENT);
    say("ENOENT", times, first, now());
  } else {
    for (long i = 0; i < times; i++) fail_at("in/a/storm", i);
    say("ENOENT", times, first, now());
  }
  return 0;
}

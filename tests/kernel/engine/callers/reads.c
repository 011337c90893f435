/* Three functions make known shares of all reads, in turns: 60, 30 and 10 of 100. Built with and without frame pointers. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int zero;
static char byte;

__attribute__((noinline)) long often(void) { return read(zero, &byte, 1) + 1; }
__attribute__((noinline)) long sometimes(void) { return read(zero, &byte, 1) + 2; }
__attribute__((noinline)) long seldom(void) { return read(zero, &byte, 1) + 3; }
__attribute__((noinline)) long turn(void) {
  long sum = 0;
  for (int i = 0; i < 6; i++) sum += often();
  for (int i = 0; i < 3; i++) sum += sometimes();
  return sum + seldom();
}

int main(int count, char **words) {
  long sum = 0, turns = count > 1 ? atol(words[1]) : 1;
  zero = open("/dev/zero", O_RDONLY);
  for (long i = 0; i < turns; i++) {
    sum += turn();
    if (i % 100 == 0) usleep(1000);
  }
  sleep(1); /* what has ended before its last stacks are named has no files any more */
  return sum == 0;
}

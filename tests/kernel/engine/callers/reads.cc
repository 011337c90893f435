// As reads.c: functions of a class and of a namespace.
#include <cstdlib>
#include <fcntl.h>
#include <unistd.h>

static int zero;
static char byte;

namespace shop {
struct Cart {
  __attribute__((noinline)) long often() { return read(zero, &byte, 1) + 1; }
};
__attribute__((noinline)) long sometimes() { return read(zero, &byte, 1) + 2; }
}
__attribute__((noinline)) static long seldom() { return read(zero, &byte, 1) + 3; }

int main(int count, char **words) {
  shop::Cart cart;
  long sum = 0, turns = count > 1 ? std::atol(words[1]) : 1;
  zero = open("/dev/zero", O_RDONLY);
  for (long turn = 0; turn < turns; turn++) {
    for (int i = 0; i < 6; i++) sum += cart.often();
    for (int i = 0; i < 3; i++) sum += shop::sometimes();
    sum += seldom();
    if (turn % 100 == 0) usleep(1000);
  }
  sleep(1);
  return sum == 0;
}

/* ring_nops ROUNDS: hands over 8 nops with one call, ROUNDS times, and says how many nanoseconds a nop took. */
#include "../kernel/engine/programs/rings.h"

int main(int count, char **words) {
  long rounds = count > 1 ? atol(words[1]) : 1;
  struct ring ring = make(0);
  struct timespec begin, end;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  for (long i = 0; i < rounds; i++) {
    for (unsigned n = 0; n < 8; n++) {
      unsigned at = (*ring.tail + n) & *ring.mask;
      ring.sqes[at] = (struct io_uring_sqe){.opcode = IORING_OP_NOP};
      ring.array[at] = at;
    }
    __atomic_store_n(ring.tail, *ring.tail + 8, __ATOMIC_RELEASE);
    if (syscall(SYS_io_uring_enter, ring.fd, 8, 8, IORING_ENTER_GETEVENTS, NULL, 0) != 8) return 4;
    __atomic_store_n(ring.head, *ring.end, __ATOMIC_RELEASE);
  }
  clock_gettime(CLOCK_MONOTONIC, &end);
  printf("%f\n", ((end.tv_sec - begin.tv_sec) * 1e9 + end.tv_nsec - begin.tv_nsec) / (8.0 * rounds));
  return 0;
}

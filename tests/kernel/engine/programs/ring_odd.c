/* Operations that are not plainly begun and done. Before "ready" it begins to read from a pipe. Then that read ends; a poll
 * that stands (multishot) tells 3 results and is taken back, which tells the last; and of 20 nops one after the other 4 find a
 * completion ring of 16 full. */
#include "rings.h"
#include <poll.h>
#include <sys/eventfd.h>

static void hand_over(struct ring *ring, struct io_uring_sqe sqe) { one(ring, sqe, 0); }

int main(void) {
  struct ring ring = make(0);
  int ends[2], event = eventfd(0, EFD_NONBLOCK);
  char byte;
  unsigned long count = 1;
  if (pipe(ends)) return 4;
  hand_over(&ring, (struct io_uring_sqe){.opcode = IORING_OP_READ, .fd = ends[0], .addr = (unsigned long)&byte, .len = 1});
  wait_for_go();
  if (write(ends[1], "x", 1) != 1 || result_of(&ring) != 1) return 5;
  hand_over(&ring, (struct io_uring_sqe){
      .opcode = IORING_OP_POLL_ADD, .fd = event, .poll32_events = POLLIN, .len = IORING_POLL_ADD_MULTI, .user_data = 7});
  for (int i = 0; i < 3; i++) {
    if (write(event, &count, sizeof(count)) != sizeof(count) || result_of(&ring) != POLLIN) return 6;
    if (read(event, &count, sizeof(count)) != sizeof(count)) return 7;
  }
  hand_over(&ring, (struct io_uring_sqe){.opcode = IORING_OP_POLL_REMOVE, .addr = 7});
  int both = result_of(&ring) + result_of(&ring);
  if (both != -ECANCELED) return 8;
  for (int i = 0; i < 20; i++) hand_over(&ring, (struct io_uring_sqe){.opcode = IORING_OP_NOP});
  for (int i = 0; i < 16; i++) result_of(&ring);
  return 0;
}

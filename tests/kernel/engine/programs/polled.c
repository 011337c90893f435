/* A ring that a thread of the kernel polls, made before anybody looks: "ready", then until its input ends no system call.
 * With an argument the ring is an ordinary one. */
#include "counted.h"
#include <linux/io_uring.h>

int main(int count, char **words) {
  struct io_uring_params params = {.flags = count > 1 && words[1] ? 0 : IORING_SETUP_SQPOLL, .sq_thread_idle = 10};
  if (syscall(SYS_io_uring_setup, 4, &params) < 0) return 3;
  wait_for_go();
  return 0;
}

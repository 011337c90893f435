/* Makes an io_uring, whose work would not show as calls. */
#include "counted.h"
#include <linux/io_uring.h>

int main(void) {
  struct io_uring_params params = {0};
  syscall(SYS_io_uring_setup, 4, &params);
  tell("io_uring_setup", 1, -1);
  return 0;
}

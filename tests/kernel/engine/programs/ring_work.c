/* Works through a ring that was made before "ready": NOPS nops, READS reads of 512 bytes, OPENS opens of a file that is
 * missing, 2 operations that there are not, and SILENT nops whose success is not told. With "enter" by io_uring_enter, with
 * "polled" by the kernel's thread, with "worker" by workers of the kernel, with "registered" through a ring whose descriptor
 * is closed, with "child" by a child that has inherited the ring; "two" has a second ring that does as much once more, and
 * with one more argument it all begins anew with each byte that comes. */
#include "rings.h"

enum { NOPS = 300, READS = 200, OPENS = 50, BAD = 2, SILENT = 7 };
static char buffer[512];

static void work(struct ring *ring, int file) {
  struct io_uring_sqe nop = {.opcode = IORING_OP_NOP};
  struct io_uring_sqe read = {.opcode = IORING_OP_READ, .fd = file, .addr = (unsigned long)buffer, .len = sizeof(buffer)};
  struct io_uring_sqe open = {.opcode = IORING_OP_OPENAT, .fd = AT_FDCWD, .addr = (unsigned long)"/proc/self/exe/below"};
  struct io_uring_sqe silent = nop;
  silent.flags = IOSQE_CQE_SKIP_SUCCESS;
  for (int i = 0; i < NOPS; i++)
    if (one(ring, nop, 1)) exit(11);
  for (int i = 0; i < READS; i++)
    if (one(ring, read, 1) != sizeof(buffer)) exit(12);
  for (int i = 0; i < OPENS; i++)
    if (one(ring, open, 1) != -ENOTDIR) exit(13);
  for (int i = 0; i < BAD; i++)
    if (one(ring, (struct io_uring_sqe){.opcode = 200}, 1) != -EINVAL) exit(14);
  for (int i = 0; i < SILENT; i++) one(ring, silent, 0);
  one(ring, nop, 1); /* with it all before are done */
}

int main(int count, char **words) {
  const char *how = words[1];
  int again_and_again = count > 2;
  int polled = !strcmp(how, "polled"), rings = 1 + !strcmp(how, "two");
  struct ring ring[2];
  for (int i = 0; i < rings; i++) {
    ring[i] = make(polled ? IORING_SETUP_SQPOLL : 0);
    ring[i].enter_flags = polled ? IORING_ENTER_SQ_WAKEUP : 0;
    ring[i].sqe_flags = !strcmp(how, "worker") ? IOSQE_ASYNC : 0;
  }
  if (!strcmp(how, "registered")) {
    struct io_uring_rsrc_update update = {.offset = -1U, .data = ring->fd};
    if (syscall(SYS_io_uring_register, ring->fd, IORING_REGISTER_RING_FDS, &update, 1) != 1) return 4;
    close(ring->fd);
    ring->fd = update.offset;
    ring->enter_flags = IORING_ENTER_REGISTERED_RING;
  }
  if (!strcmp(how, "child") && fork()) {
    int status;
    wait(&status);
    return WEXITSTATUS(status);
  }
  int file = open(words[0], O_RDONLY);
  wait_for_go();
  for (char again = 1; again; again = again_and_again && read(0, &again, 1) == 1) {
    for (int i = 0; i < rings; i++) work(&ring[i], file);
    if (again_and_again && write(1, "done\n", 5) != 5) return 5;
  }
  return 0;
}

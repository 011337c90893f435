/* Has a ring in one of several ways, all made before anybody looks: "ready", then until its input ends no system call.
 * "forked": a child has inherited the descriptor, and has never used it. "passed": it was another process's. "registered": the
 * ring is registered, and its descriptor closed. "closed": the only ring is gone. "two": two rings. */
#include "counted.h"
#include <linux/io_uring.h>

static int make(void) {
  struct io_uring_params params = {0};
  int ring = syscall(SYS_io_uring_setup, 4, &params);
  if (ring < 0) exit(3);
  return ring;
}

/* Takes a ring over from a child, which ends. Linux 6.8 and later do not let them through sockets. */
static void take_over(void) {
  int number[2];
  if (pipe(number)) exit(6);
  pid_t child = fork();
  if (!child) {
    int ring = make();
    if (write(number[1], &ring, sizeof(ring)) != sizeof(ring)) exit(7);
    for (;;) pause();
  }
  int ring, handle = syscall(SYS_pidfd_open, child, 0);
  close(number[1]);
  if (read(number[0], &ring, sizeof(ring)) != sizeof(ring) || syscall(SYS_pidfd_getfd, handle, ring, 0) < 0) exit(8);
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
}

static void inherit(void) {
  int ring = make();
  pid_t child = fork();
  if (!child) return;
  close(ring);
  waitpid(child, NULL, 0);
  exit(0);
}

int main(int count, char **words) {
  const char *how = count > 1 ? words[1] : "two";
  if (!strcmp(how, "forked")) inherit();
  if (!strcmp(how, "passed")) take_over();
  if (!strcmp(how, "two")) make(), make();
  if (!strcmp(how, "registered")) {
    int ring = make();
    struct io_uring_rsrc_update update = {.offset = -1U, .data = ring};
    if (syscall(SYS_io_uring_register, ring, IORING_REGISTER_RING_FDS, &update, 1) != 1) return 4;
    close(ring);
  }
  if (!strcmp(how, "closed")) {
    close(make());
    usleep(300000); /* the kernel gives it up a moment later */
  }
  wait_for_go();
  return 0;
}

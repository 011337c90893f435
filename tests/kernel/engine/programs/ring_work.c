/* Works through a ring that was made before "ready": NOPS nops, READS reads of 512 bytes, OPENS opens of a file that is
 * missing, 2 operations that there are not, and SILENT nops whose success is not told. With "enter" by io_uring_enter, with
 * "polled" by the kernel's thread, with "worker" by workers of the kernel, with "registered" through a ring whose descriptor
 * is closed, with "child" by a child that has inherited the ring; "two" has a second ring that does as much once more, and
 * with "again" it all begins anew with each byte that comes. */
#include "counted.h"
#include <linux/io_uring.h>
#include <sys/mman.h>

enum { NOPS = 300, READS = 200, OPENS = 50, BAD = 2, SILENT = 7, ENTRIES = 8 };
static char buffer[512];

struct ring {
  int fd;
  unsigned enter_flags, sqe_flags;
  unsigned *tail, *mask, *array, *flags, *head, *end, *cmask;
  struct io_uring_sqe *sqes;
  struct io_uring_cqe *cqes;
};

static struct ring make(unsigned setup) {
  struct io_uring_params p = {.flags = setup, .sq_thread_idle = 20};
  struct ring ring = {.fd = syscall(SYS_io_uring_setup, ENTRIES, &p)};
  if (ring.fd < 0) exit(3);
  size_t sq_bytes = p.sq_off.array + p.sq_entries * 4, cq_bytes = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
  char *sq = mmap(0, sq_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd, IORING_OFF_SQ_RING);
  char *cq = mmap(0, cq_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd, IORING_OFF_CQ_RING);
  ring.sqes = mmap(0, p.sq_entries * sizeof(*ring.sqes), PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd, IORING_OFF_SQES);
  ring.tail = (void *)(sq + p.sq_off.tail);
  ring.mask = (void *)(sq + p.sq_off.ring_mask);
  ring.array = (void *)(sq + p.sq_off.array);
  ring.flags = (void *)(sq + p.sq_off.flags);
  ring.head = (void *)(cq + p.cq_off.head);
  ring.end = (void *)(cq + p.cq_off.tail);
  ring.cmask = (void *)(cq + p.cq_off.ring_mask);
  ring.cqes = (void *)(cq + p.cq_off.cqes);
  return ring;
}

/* Hands one operation over and waits for its result, where there is one. */
static int one(struct ring *ring, struct io_uring_sqe sqe, int answered) {
  unsigned at = *ring->tail & *ring->mask;
  sqe.flags |= ring->sqe_flags;
  ring->sqes[at] = sqe;
  ring->array[at] = at;
  __atomic_store_n(ring->tail, *ring->tail + 1, __ATOMIC_RELEASE);
  __sync_synchronize();
  if (!(ring->enter_flags & IORING_ENTER_SQ_WAKEUP))
    syscall(SYS_io_uring_enter, ring->fd, 1, answered, ring->enter_flags | IORING_ENTER_GETEVENTS, NULL, 0);
  else if (__atomic_load_n(ring->flags, __ATOMIC_ACQUIRE) & IORING_SQ_NEED_WAKEUP)
    syscall(SYS_io_uring_enter, ring->fd, 0, 0, IORING_ENTER_SQ_WAKEUP, NULL, 0);
  if (!answered) return 0;
  while (__atomic_load_n(ring->end, __ATOMIC_ACQUIRE) == *ring->head) sched_yield();
  int result = ring->cqes[*ring->head & *ring->cmask].res;
  __atomic_store_n(ring->head, *ring->head + 1, __ATOMIC_RELEASE);
  return result;
}

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
  for (char again = 1; again; again = !strcmp(how, "again") && read(0, &again, 1) == 1) {
    for (int i = 0; i < rings; i++) work(&ring[i], file);
    if (!strcmp(how, "again") && write(1, "done\n", 5) != 5) return 5;
  }
  return 0;
}

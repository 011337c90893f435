/* A ring of io_uring as programs of the tests use it, without a library. */
#pragma once
#include "counted.h"
#include <linux/io_uring.h>
#include <sys/mman.h>

struct ring {
  int fd;
  unsigned enter_flags, sqe_flags;
  unsigned *tail, *mask, *array, *flags, *head, *end, *cmask;
  struct io_uring_sqe *sqes;
  struct io_uring_cqe *cqes;
};

static inline struct ring make(unsigned setup) {
  struct io_uring_params p = {.flags = setup, .sq_thread_idle = 20};
  struct ring ring = {.fd = syscall(SYS_io_uring_setup, 8, &p)};
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

/* Waits for the next result. */
static inline int result_of(struct ring *ring) {
  while (__atomic_load_n(ring->end, __ATOMIC_ACQUIRE) == *ring->head) sched_yield();
  int result = ring->cqes[*ring->head & *ring->cmask].res;
  __atomic_store_n(ring->head, *ring->head + 1, __ATOMIC_RELEASE);
  return result;
}

/* Hands one operation over and waits for its result, where there is one. */
static inline int one(struct ring *ring, struct io_uring_sqe sqe, int answered) {
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
  return answered ? result_of(ring) : 0;
}


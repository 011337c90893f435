/* Calls that wait for a neighbour, NAP_MS each, and calls of the same names that work, however long they take. Argument:
 * a folder on a disk; with a second one its children hang instead. Prints "NAME ABI WORKED WAITED" for each case; a name may come back, and is to be added up. What
 * a case and its children do beside that works: WORKED is the least. All sleep by ppoll where no case looks. */
#include "counted.h"
#include <linux/aio_abi.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <linux/sched.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>

#define MS 1000000L
/* A machine at work may hold up whoever is to wait: then nothing is left to wait for. */
#define NAP_MS 60
#define BIG (8 << 20)

static char big[BIG] __attribute__((aligned(4096)));
static char path[300], cold[300], fifo[300];
static int ends[2], full[2], other[2], pair[2], queue, semaphores, nothing;
static struct timespec soon = {0, NAP_MS * MS};

static void row(const char *name, long worked, long waited) { printf("%s - %ld %ld\n", name, worked, waited); }
static void row_of(const char *name, const char *abi, long worked, long waited) {
  printf("%s %s %ld %ld\n", name, abi, worked, waited);
}
static void check(int wrong, const char *what) {
  if (!wrong) return;
  perror(what);
  exit(9);
}
#define CHECK(right) check(!(right), #right)

/* A child that does something later. */
static pid_t later(void (*act)(void)) {
  pid_t child = fork();
  if (child) return child;
  ppoll(NULL, 0, &soon, NULL);
  act();
  _exit(0);
}
/* All children have ended. */
static void settle(void) {
  while (waitpid(-1, NULL, WNOHANG) >= 0) ppoll(NULL, 0, &(struct timespec){0, MS}, NULL);
}
static void put(void) { CHECK(syscall(SYS_sendto, pair[1], "x", 1, MSG_DONTWAIT, NULL, 0) == 1); }
static void put_pipe(void) { CHECK(vmsplice(ends[1], &(struct iovec){"x", 1}, 1, 0) == 1); }
static void take_pipe(void) {
  for (int i = 0; i < 20; i++) splice(full[0], NULL, nothing, NULL, 1 << 20, SPLICE_F_NONBLOCK);
}
static void drain(void) {
  for (int i = 0; i < 1000; i++) {
    struct iovec v = {big, 1 << 20};
    struct mmsghdr m = {.msg_hdr = {.msg_iov = &v, .msg_iovlen = 1}};
    if (syscall(SYS_recvmmsg, pair[1], &m, 1, MSG_DONTWAIT, NULL) < 0) break;
  }
}
static void fill_pipe(void) {
  CHECK(fcntl(full[1], F_SETFL, O_NONBLOCK) == 0);
  struct iovec v = {big, 4096};
  while (vmsplice(full[1], &v, 1, SPLICE_F_NONBLOCK) > 0) {}
  CHECK(fcntl(full[1], F_SETFL, 0) == 0);
}
static long filled;
static void fill_pair(void) {
  filled = 0;
  while (send(pair[0], big, 8192, MSG_DONTWAIT) > 0) filled++;
  while (send(pair[0], big, 1, MSG_DONTWAIT) > 0) filled++;
  filled += 2;
}

static void by_descriptors(void) {
  struct iovec one = {big, 1}, page = {big, 4096};
  loff_t start = 0;
  later(put_pipe);
  CHECK(preadv2(ends[0], &one, 1, -1, 0) == 1);
  settle();
  row("preadv2", 0, 1);
  later(put_pipe);
  CHECK(tee(ends[0], other[1], 1, 0) == 1);
  CHECK(tee(ends[0], other[1], 1, 0) == 1); /* there is something */
  settle();
  row("tee", 1, 1);
  CHECK(read(ends[0], big, 1) == 1 && read(other[0], big, 2) == 2);
  fill_pipe();
  later(take_pipe);
  CHECK(pwritev2(full[1], &page, 1, -1, 0) == 4096);
  settle();
  row("pwritev2", 0, 1);
  take_pipe();
  int file = open(path, O_RDWR);
  CHECK(file >= 0);
  /* To a pipe: sockets of kernels up to 6.4 may take a page although they are full. */
  fill_pipe();
  later(take_pipe);
  CHECK(sendfile(full[1], file, &start, 4096) == 4096);
  settle();
  take_pipe();
  start = 0;
  CHECK(sendfile(pair[0], file, &start, 4096) == 4096); /* there is room */
  drain();
  row("sendfile", 1, 1);
  close(file);
  /* From the disk, to one that has room. */
  CHECK((file = open(cold, O_RDONLY)) >= 0 && posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED) == 0);
  CHECK(sendfile(pair[0], file, NULL, 4096) == 4096);
  CHECK(posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED) == 0);
  CHECK(splice(file, &start, other[1], NULL, 4096, 0) == 4096);
  drain();
  CHECK(read(other[0], big, 4096) == 4096);
  row("sendfile", 1, 0);
  row("splice", 1, 0);
  close(file);
}

static void splices(void) {
  later(put_pipe);
  CHECK(splice(ends[0], NULL, other[1], NULL, 1, 0) == 1);
  settle();
  CHECK(read(other[0], big, 1) == 1);
  row("splice", 0, 1);
}

static void vmsplices(void) {
  struct iovec page = {big, 4096};
  int mine[2];
  CHECK(pipe(mine) == 0 && fcntl(mine[1], F_SETPIPE_SZ, 4096) > 0);
  CHECK(vmsplice(mine[1], &page, 1, 0) == 4096);
  pid_t child = fork();
  if (!child) {
    ppoll(NULL, 0, &soon, NULL);
    _exit(read(mine[0], big, 4096) != 4096);
  }
  CHECK(vmsplice(mine[1], &page, 1, 0) == 4096);
  settle();
  row("vmsplice", 1, 1);
}

static void hold(int cmd) {
  int ready[2];
  CHECK(pipe(ready) == 0);
  pid_t child = fork();
  struct flock lock = {.l_type = F_WRLCK};
  if (!child) {
    int fd = open(path, O_RDWR);
    close(ready[0]);
    if (cmd) fcntl(fd, cmd, &lock);
    else flock(fd, LOCK_EX);
    close(ready[1]);
    ppoll(NULL, 0, &soon, NULL);
    _exit(0);
  }
  close(ready[1]);
  CHECK(ppoll(&(struct pollfd){.fd = ready[0]}, 1, NULL, NULL) == 1);
  close(ready[0]);
}

static void locks(void) {
  int file = open(path, O_RDWR);
  struct flock lock = {.l_type = F_WRLCK};
  hold(F_SETLK);
  CHECK(fcntl(file, F_SETLKW, &lock) == 0);
  settle();
  lock.l_type = F_UNLCK;
  CHECK(fcntl(file, F_SETLK, &lock) == 0);
  hold(F_OFD_SETLK);
  lock.l_type = F_WRLCK;
  CHECK(fcntl(file, F_OFD_SETLKW, &lock) == 0);
  settle();
  lock.l_type = F_UNLCK;
  CHECK(fcntl(file, F_OFD_SETLK, &lock) == 0);
  CHECK(fcntl(file, F_OFD_SETLKW, &lock) == 0); /* nobody holds it */
  row("fcntl", 5, 2);
  hold(0);
  CHECK(flock(file, LOCK_EX) == 0);
  settle();
  CHECK(flock(file, LOCK_EX | LOCK_NB) == 0);
  row("flock", 2, 1);
  close(file);
}

static void opens_for_reading(void) { nothing = open(fifo, O_RDWR), ppoll(NULL, 0, &soon, NULL); }
static void opens(void) {
  CHECK(mkfifo(fifo, 0600) == 0);
  later(opens_for_reading);
  int fd = syscall(SYS_openat, AT_FDCWD, fifo, O_WRONLY);
  CHECK(fd >= 0);
  settle();
  close(fd);
  later(opens_for_reading);
  CHECK(syscall(SYS_openat, AT_FDCWD, fifo, O_RDONLY) >= 0);
  settle();
  for (int i = 0; i < 10; i++) CHECK((fd = syscall(SYS_openat, AT_FDCWD, cold, O_RDWR)) >= 0);
  CHECK(syscall(SYS_openat, AT_FDCWD, fifo, O_RDWR) >= 0); /* never waits */
  row("openat", 13, 2);
}

static int sleeps(void *unused) {
  (void)unused;
  ppoll(NULL, 0, &soon, NULL);
  _exit(0);
}
static char stack[65536] __attribute__((aligned(16)));
static void children(void) {
  pid_t child = vfork();
  if (!child) sleeps(NULL);
  CHECK(child > 0);
  row("vfork", 0, 1);
  CHECK(clone(sleeps, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, NULL) > 0);
  row("clone", 0, 1);
  struct clone_args arguments = {.flags = CLONE_VFORK, .exit_signal = SIGCHLD};
  child = syscall(SYS_clone3, &arguments, sizeof(arguments));
  if (!child) sleeps(NULL);
  CHECK(child > 0);
  arguments.flags = 0;
  child = syscall(SYS_clone3, &arguments, sizeof(arguments));
  if (!child) _exit(0);
  row("clone3", 1, 1);
  settle();
  siginfo_t info;
  if (!(child = fork())) sleeps(NULL);
  CHECK(waitid(P_ALL, 0, &info, WEXITED | WNOWAIT) == 0);
  CHECK(waitid(P_ALL, 0, &info, WEXITED | WNOHANG) == 0);
  row("waitid", 1, 1);
  settle();
  if (!(child = fork())) sleeps(NULL);
  CHECK(waitpid(child, NULL, 0) == child);
  row("wait4", 1, 1);
}

static void untake(void) {
  struct { long type; char text[8]; } message;
  while (msgrcv(queue, &message, 8, 0, IPC_NOWAIT) >= 0) {}
}
static void up(void) { semctl(semaphores, 0, SETVAL, 1); }
static mqd_t posix;
static void post(void) { CHECK(mq_send(posix, "x", 1, 0) == 0); }
static void fetch(void) {
  char text[8];
  CHECK(mq_receive(posix, text, 8, NULL) > 0);
}
static void queues(void) {
  struct { long type; char text[8]; } message = {1, ""};
  char name[64], text[8];
  long sent = 1;
  CHECK((queue = msgget(IPC_PRIVATE, 0600)) >= 0);
  while (!msgsnd(queue, &message, 8, IPC_NOWAIT)) sent++;
  later(untake);
  CHECK(msgsnd(queue, &message, 8, 0) == 0);
  settle();
  row("msgsnd", sent, 1);
  msgctl(queue, IPC_RMID, NULL);
  CHECK((semaphores = semget(IPC_PRIVATE, 1, 0600)) >= 0);
  later(up);
  struct sembuf down = {0, -1, 0}, nowait = {0, -1, IPC_NOWAIT};
#ifdef SYS_semop
  CHECK(syscall(SYS_semop, semaphores, &down, 1) == 0);
  CHECK(syscall(SYS_semop, semaphores, &nowait, 1) < 0);
  row("semop", 1, 1);
#endif
  settle();
  later(up);
  CHECK(syscall(SYS_semtimedop, semaphores, &down, 1, NULL) == 0);
  CHECK(syscall(SYS_semtimedop, semaphores, &nowait, 1, NULL) < 0);
  row("semtimedop", 1, 1);
  settle();
  semctl(semaphores, 0, IPC_RMID);
  snprintf(name, sizeof(name), "/kubestrace-%d", getpid());
  struct mq_attr attributes = {.mq_maxmsg = 1, .mq_msgsize = 8};
  posix = mq_open(name, O_RDWR | O_CREAT, 0600, &attributes);
  if (posix < 0) return; /* this kernel or container has none */
  mq_unlink(name);
  later(post);
  CHECK(mq_receive(posix, text, 8, NULL) == 1);
  settle();
  CHECK(mq_send(posix, "x", 1, 0) == 0);
  later(fetch);
  CHECK(mq_send(posix, "x", 1, 0) == 0);
  settle();
  row("mq_timedreceive", 1, 1); /* the helper's worked */
  row("mq_timedsend", 2, 1);
}

static unsigned word;
static void wake(void) { syscall(SYS_futex, &word, FUTEX_WAKE, 1, NULL, NULL, 0); }
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static void *holds(void *unused) {
  (void)unused;
  pthread_mutex_lock(&mutex);
  __atomic_store_n(&word, 7, __ATOMIC_SEQ_CST);
  ppoll(NULL, 0, &soon, NULL);
  pthread_mutex_unlock(&mutex); /* a wake */
  return NULL;
}
static struct timespec moment(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  at.tv_nsec += NAP_MS * MS;
  if (at.tv_nsec >= 1000 * MS) at.tv_sec++, at.tv_nsec -= 1000 * MS;
  return at;
}
static void futexes(void) {
  pthread_t thread;
  word = 0;
  CHECK(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &soon, NULL, 0) < 0);
  CHECK(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 1, &soon, NULL, 0) < 0); /* EAGAIN */
  CHECK(syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, 1, &soon, NULL, ~0) < 0);
  for (int i = 0; i < 50; i++) wake();
  row("futex", 52, 1);
  struct futex_waitv waiter = {.val = 0, .uaddr = (unsigned long)&word, .flags = 2 | 128};
  struct timespec until = moment();
  if (syscall(449, &waiter, 1, 0, &until, CLOCK_MONOTONIC) < 0 && errno == ETIMEDOUT) row("futex_waitv", 0, 1);
  until = moment();
  if (syscall(455, &word, 0UL, 0xffffffffUL, 2 | 128, &until, CLOCK_MONOTONIC) < 0 && errno == ETIMEDOUT)
    row("futex_wait", 0, 1);
  word = 0;
  CHECK(pthread_create(&thread, NULL, holds, NULL) == 0);
  while (__atomic_load_n(&word, __ATOMIC_SEQ_CST) != 7) {}
  pthread_mutex_lock(&mutex);
  /* By now the other one has woken us, and then ends; it is not joined, as that may wait or not. */
  ppoll(NULL, 0, &soon, NULL);
  row("futex", 1, 1);
}

static int listener;
static void takes(void) { syscall(SYS_accept, listener, NULL, NULL); }
static struct sockaddr_un name = {.sun_family = AF_UNIX};
static void connects_later(void) {
  CHECK(syscall(SYS_connect, socket(AF_UNIX, SOCK_STREAM, 0), &name, sizeof(name)) == 0);
}
static void sockets(void) {
  struct iovec v = {big, 1};
  struct mmsghdr m = {.msg_hdr = {.msg_iov = &v, .msg_iovlen = 1}};
  struct sockaddr_in blackhole = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(0x7f000001)};
  snprintf(name.sun_path + 1, 100, "kubestrace-neighbours-%d", getpid());
  CHECK((listener = socket(AF_UNIX, SOCK_STREAM, 0)) >= 0);
  CHECK(bind(listener, (void *)&name, sizeof(name)) == 0 && listen(listener, 0) == 0);
  CHECK(connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&name, sizeof(name)) == 0); /* the backlog is full */
  later(takes);
  CHECK(connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&name, sizeof(name)) == 0);
  settle();
  connect(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), (void *)&blackhole, sizeof(blackhole));
  takes();
  row("accept", 2, 0);
  later(connects_later);
  CHECK(syscall(SYS_accept4, listener, NULL, NULL, 0) >= 0);
  settle();
  row("accept4", 0, 1);
  row("connect", 3, 1);
  later(put);
  CHECK(syscall(SYS_recvfrom, pair[0], big, 1, 0, NULL, NULL) == 1);
  settle();
  for (int i = 0; i < 50; i++) recv(pair[0], big, 1, MSG_DONTWAIT);
  row("recvfrom", 50, 1);
  later(put);
  CHECK(syscall(SYS_recvmmsg, pair[0], &m, 1, 0, NULL) == 1);
  settle();
  for (int i = 0; i < 50; i++) syscall(SYS_recvmmsg, pair[0], &m, 1, MSG_DONTWAIT, NULL);
  row("recvmmsg", 50, 1);
  later(put);
  CHECK(recvmsg(pair[0], &m.msg_hdr, 0) == 1);
  settle();
  row("recvmsg", 0, 1);
  fill_pair();
  later(drain);
  CHECK(sendmsg(pair[0], &m.msg_hdr, 0) == 1);
  settle();
  for (int i = 0; i < 50; i++) syscall(SYS_sendmmsg, pair[0], &m, 1, MSG_DONTWAIT);
  row("sendmsg", 0, 1);
  row("sendmmsg", 50, 0);
  drain();
}

static void interrupt(void) { kill(getppid(), SIGUSR1); }
static void on_signal(int number) { (void)number; }
static void events(void) {
  int event = eventfd(0, 0), timer = timerfd_create(CLOCK_MONOTONIC, 0), watch = inotify_init(), ours, theirs;
  struct itimerspec once = {.it_value = soon};
  struct itimerval alarm_once = {.it_value.tv_usec = NAP_MS * 1000};
  sigset_t set;
  uint64_t count;
  CHECK(event >= 0 && timer >= 0 && watch >= 0);
  pid_t child = fork();
  if (!child) {
    ppoll(NULL, 0, &soon, NULL);
    _exit(writev(event, &(struct iovec){&(uint64_t){1}, 8}, 1) != 8);
  }
  CHECK(read(event, &count, 8) == 8);
  settle();
  CHECK(timerfd_settime(timer, 0, &once, NULL) == 0 && read(timer, &count, 8) == 8);
  sigemptyset(&set), sigaddset(&set, SIGALRM), sigprocmask(SIG_BLOCK, &set, NULL);
  int signals = signalfd(-1, &set, 0);
  setitimer(ITIMER_REAL, &alarm_once, NULL);
  CHECK(read(signals, big, sizeof(struct signalfd_siginfo)) > 0);
  CHECK(inotify_add_watch(watch, path, IN_OPEN) >= 0);
  child = fork();
  if (!child) {
    ppoll(NULL, 0, &soon, NULL);
    _exit(open(path, O_RDONLY) < 0);
  }
  CHECK(read(watch, big, 4096) > 0);
  settle();
  ours = posix_openpt(O_RDWR | O_NOCTTY);
  CHECK(ours >= 0 && grantpt(ours) == 0 && unlockpt(ours) == 0);
  theirs = open(ptsname(ours), O_RDWR | O_NOCTTY);
  child = fork();
  if (!child) {
    ppoll(NULL, 0, &soon, NULL);
    _exit(writev(ours, &(struct iovec){"\n", 1}, 1) != 1);
  }
  CHECK(read(theirs, big, 1) == 1);
  settle();
  int zero = open("/dev/zero", O_RDONLY), null = open("/dev/null", O_WRONLY), file = open(cold, O_RDONLY);
  for (int i = 0; i < 5; i++) CHECK(read(zero, big, BIG) > 0);
  posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
  CHECK(read(file, big, BIG) == BIG); /* cold: sleeps for the disk */
  row("read", 6, 5);
  close(file);
  file = open(cold, O_RDONLY | O_DIRECT);
  if (file >= 0) {
    CHECK(pread(file, big, 1 << 20, 0) == 1 << 20);
    row("pread64", 1, 0);
  }
  for (int i = 0; i < 5; i++) CHECK(pwrite(null, big, BIG, 0) == BIG);
  row("pwrite64", 5, 0);
  signal(SIGUSR1, on_signal);
  later(interrupt);
  pause();
  settle();
  row("pause", 0, 1);
  sigdelset(&set, SIGALRM);
  later(interrupt);
  sigsuspend(&set);
  settle();
  row("rt_sigsuspend", 0, 1);
  sigaddset(&set, SIGALRM);
  CHECK(sigtimedwait(&set, NULL, &soon) < 0);
  CHECK(sigtimedwait(&set, NULL, &(struct timespec){0, 0}) < 0);
  row("rt_sigtimedwait", 1, 1);
  signal(SIGUSR1, SIG_DFL);
}

/* The kernel goes on with a poll after a stop, by another call. */
static void stop(void) {
  kill(getppid(), SIGSTOP);
  ppoll(NULL, 0, &soon, NULL);
  kill(getppid(), SIGCONT);
}
static void polls(void) {
  struct epoll_event event;
  int ep = epoll_create1(0), pid_fd;
  struct pollfd poll_fd = {.fd = ends[0], .events = POLLIN};
#ifdef SYS_poll
  CHECK(syscall(SYS_poll, &poll_fd, 1, NAP_MS) == 0);
  for (int i = 0; i < 50; i++) CHECK(syscall(SYS_poll, &poll_fd, 1, 0) == 0);
  pid_t child = fork();
  if (!child) sleeps(NULL);
  pid_fd = syscall(SYS_pidfd_open, child, 0);
  poll_fd.fd = pid_fd;
  CHECK(syscall(SYS_poll, &poll_fd, 1, 1000) == 1);
  row("poll", 50, 2);
  settle();
  later(stop);
  CHECK(syscall(SYS_poll, NULL, 0, 5 * NAP_MS) == 0);
  row("poll", 0, 1);
  row("restart_syscall", 0, 1);
  settle();
#endif
#ifdef SYS_select
  CHECK(syscall(SYS_select, 0, NULL, NULL, NULL, &(struct timeval){0, NAP_MS * 1000}) == 0);
  CHECK(syscall(SYS_select, 0, NULL, NULL, NULL, &(struct timeval){0, 0}) == 0);
  row("select", 1, 1);
  CHECK(syscall(SYS_epoll_wait, ep, &event, 1, NAP_MS) == 0);
  for (int i = 0; i < 50; i++) CHECK(syscall(SYS_epoll_wait, ep, &event, 1, 0) == 0);
  row("epoll_wait", 50, 1);
#endif
  CHECK(syscall(SYS_pselect6, 0, NULL, NULL, NULL, &(struct timespec){0, NAP_MS * MS}, NULL) == 0);
  row("pselect6", 0, 1);
  CHECK(epoll_pwait(ep, &event, 1, NAP_MS, NULL) == 0);
  row("epoll_pwait", 0, 1);
  if (syscall(SYS_epoll_pwait2, ep, &event, 1, &soon, NULL, 8) == 0) row("epoll_pwait2", 0, 1);
  CHECK(syscall(SYS_nanosleep, &soon, NULL) == 0);
  row("nanosleep", 0, 1);
  CHECK(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &soon, NULL) == 0);
  row("clock_nanosleep", 0, 1);
}

static void asynchronous(void) {
  aio_context_t context = 0;
  struct io_event done;
  if (syscall(SYS_io_setup, 1, &context) == 0) {
    CHECK(syscall(SYS_io_getevents, context, 1, 1, &done, &soon) == 0);
    CHECK(syscall(SYS_io_getevents, context, 0, 1, &done, NULL) == 0);
    row("io_getevents", 1, 1);
  }
  struct io_uring_params parameters = {0};
  int ring = syscall(SYS_io_uring_setup, 1, &parameters);
  if (ring < 0) return;
  char *queue_map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
  struct io_uring_sqe *entries = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
  struct __attribute__((aligned(8))) { long long seconds, ns; } time = {0, NAP_MS * MS};
  CHECK(queue_map != MAP_FAILED && entries != MAP_FAILED);
  CHECK(syscall(SYS_io_uring_enter, ring, 0, 0, 0, NULL, 0) == 0);
  *entries = (struct io_uring_sqe){.opcode = IORING_OP_TIMEOUT, .addr = (unsigned long)&time, .len = 1, .off = 0};
  *(unsigned *)(queue_map + parameters.sq_off.array) = 0;
  __atomic_store_n((unsigned *)(queue_map + parameters.sq_off.tail), 1, __ATOMIC_RELEASE);
  CHECK(syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) == 1);
  row("io_uring_enter", 1, 1);
}

/* Work, though some of it sleeps: for the disk, for memory, for a turn. */
static void works(void) {
  int file = open(cold, O_RDWR), copy = open(path, O_RDWR);
  for (int i = 0; i < 5; i++) {
    CHECK(pwritev(file, &(struct iovec){big, 1 << 20}, 1, 0) == 1 << 20);
    CHECK(fsync(file) == 0);
  }
  row("fsync", 5, 0);
  row("pwritev", 5, 0);
  loff_t from = 0, to = 0;
  if (copy_file_range(file, &from, copy, &to, 1 << 20, 0) > 0) row("copy_file_range", 1, 0);
  for (int i = 0; i < 1000; i++) sched_yield();
  row("sched_yield", 1000, 0);
  CHECK(syscall(SYS_getrandom, big, 1 << 20, 0) == 1 << 20);
  row("getrandom", 1, 0);
  CHECK(madvise(mmap(NULL, 32 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0), 4096,
                MADV_DONTNEED) == 0);
  row("madvise", 1, 0);
  syscall(SYS_membarrier, 0, 0, 0);
  row("membarrier", 1, 0);
  int window;
  ioctl(ends[0], FIONREAD, &window);
}

#ifdef __x86_64__
static long ipc(long call, long first, long second, long pointer) {
  long ret;
  asm volatile("int $0x80"
               : "=a"(ret)
               : "a"(117), "b"(call), "c"(first), "d"(second), "S"(0), "D"(pointer)
               : "memory", "r8", "r9", "r10", "r11");
  return ret;
}

/* In memory that a 32-bit program can name. */
static void old_ones(void) {
  unsigned *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
  CHECK(low != MAP_FAILED);
  unsigned arguments[4] = {pair[0], (unsigned)(unsigned long)&low[16], 1, 0};
  memcpy(low, arguments, sizeof(arguments));
  later(put);
  CHECK(old_call(102, 10, (long)low, 0, 0) == 1); /* recv */
  settle();
  low[3] = MSG_DONTWAIT;
  for (int i = 0; i < 10; i++) old_call(102, 10, (long)low, 0, 0);
  low[0] = AF_UNIX, low[1] = SOCK_STREAM, low[2] = 0;
  CHECK(old_call(102, 1, (long)low, 0, 0) >= 0); /* socket */
  row_of("socketcall", "i386", 11, 1);
  CHECK((semaphores = semget(IPC_PRIVATE, 1, 0600)) >= 0);
  *(struct sembuf *)low = (struct sembuf){0, -1, 0};
  later(up);
  CHECK(ipc(1, semaphores, 1, (long)low) == 0);
  settle();
  ((struct sembuf *)low)->sem_flg = IPC_NOWAIT;
  CHECK(ipc(1, semaphores, 1, (long)low) < 0);
  row_of("ipc", "i386", 1, 1);
  semctl(semaphores, 0, IPC_RMID);
}
#endif

static void in_fcntl(void) { fcntl(open(path, O_RDWR), F_SETLKW, &(struct flock){.l_type = F_WRLCK}); }
static void in_flock(void) { flock(open(path, O_RDWR), LOCK_EX); }
static void in_openat(void) { syscall(SYS_openat, AT_FDCWD, fifo, O_WRONLY); }
static void in_vfork(void) {
  if (!vfork()) pause();
}
static void in_clone3(void) {
  struct clone_args arguments = {.flags = CLONE_VFORK, .exit_signal = SIGCHLD};
  if (!syscall(SYS_clone3, &arguments, sizeof(arguments))) pause();
}
static void in_preadv2(void) { preadv2(ends[0], &(struct iovec){big, 1}, 1, -1, 0); }
static void in_splice(void) { splice(ends[0], NULL, other[1], NULL, 1, 0); }
static void in_tee(void) { tee(ends[0], other[1], 1, 0); }
static void in_pwritev2(void) { pwritev2(full[1], &(struct iovec){big, 4096}, 1, -1, 0); }
static void in_sendfile(void) { sendfile(full[1], open(path, O_RDWR), NULL, 4096); }
static void in_msgrcv(void) { msgrcv(queue, big, 8, 0, 0); }
static void in_semtimedop(void) { syscall(SYS_semtimedop, semaphores, &(struct sembuf){0, -1, 0}, 1, NULL); }
static void in_futex(void) { syscall(SYS_futex, &nothing, FUTEX_WAIT, nothing, NULL, NULL, 0); }
static void in_recvfrom(void) { syscall(SYS_recvfrom, pair[0], big, 1, 0, NULL, NULL); }
static void in_waitid(void) {
  if (!fork()) pause();
  siginfo_t info;
  waitid(P_ALL, 0, &info, WEXITED);
}
#ifdef __x86_64__
static void in_socketcall(void) {
  unsigned *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
  unsigned arguments[4] = {pair[0], (unsigned)(unsigned long)&low[16], 1, 0};
  memcpy(low, arguments, sizeof(arguments));
  old_call(102, 10, (long)low, 0, 0);
}
#endif

/* A child in each of these calls, none of which returns. Says "NAME ABI 0 1" of each, then "." and waits in poll. */
static void hang(void) {
  static const struct { const char *name, *abi; void (*act)(void); } all[] = {
    {"fcntl", "-", in_fcntl}, {"flock", "-", in_flock}, {"openat", "-", in_openat}, {"vfork", "-", in_vfork},
    {"clone3", "-", in_clone3}, {"preadv2", "-", in_preadv2}, {"splice", "-", in_splice}, {"tee", "-", in_tee},
    {"pwritev2", "-", in_pwritev2}, {"sendfile", "-", in_sendfile}, {"msgrcv", "-", in_msgrcv},
    {"semtimedop", "-", in_semtimedop}, {"futex", "-", in_futex}, {"recvfrom", "-", in_recvfrom},
    {"waitid", "-", in_waitid},
#ifdef __x86_64__
    {"socketcall", "i386", in_socketcall},
#endif
  };
  int file = open(path, O_RDWR);
  CHECK(mkfifo(fifo, 0600) == 0 && flock(file, LOCK_EX) == 0);
  CHECK(fcntl(file, F_SETLK, &(struct flock){.l_type = F_WRLCK}) == 0);
  CHECK((queue = msgget(IPC_PRIVATE, 0600)) >= 0 && (semaphores = semget(IPC_PRIVATE, 1, 0600)) >= 0);
  fill_pipe();
  fill_pair();
  for (unsigned i = 0; i < sizeof(all) / sizeof(*all); i++) {
    if (!fork()) all[i].act(), _exit(0);
    row_of(all[i].name, all[i].abi, 0, 1);
  }
  puts(".");
  fflush(stdout);
  ppoll(&(struct pollfd){.fd = 0, .events = POLLIN}, 1, NULL, NULL);
  msgctl(queue, IPC_RMID, NULL);
  semctl(semaphores, 0, IPC_RMID);
}

int main(int count, char **words) {
  if (count < 2) return 2;
  snprintf(path, sizeof(path), "%s/file", words[1]);
  snprintf(cold, sizeof(cold), "%s/cold", words[1]);
  snprintf(fifo, sizeof(fifo), "%s/fifo", words[1]);
  memset(big, 1, sizeof(big));
  int made = open(path, O_RDWR | O_CREAT, 0600);
  CHECK(made >= 0 && ftruncate(made, 1 << 16) == 0);
  close(made);
  made = open(cold, O_RDWR | O_CREAT, 0600);
  struct iovec all = {big, BIG};
  CHECK(pwritev(made, &all, 1, 0) == BIG && fdatasync(made) == 0);
  close(made);
  nothing = open("/dev/null", O_WRONLY);
  CHECK(pipe(ends) == 0 && pipe(full) == 0 && pipe(other) == 0);
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  if (count > 2) {
    hang();
    return 0;
  }
  by_descriptors();
  splices();
  vmsplices();
  locks();
  opens();
  children();
  queues();
  futexes();
  sockets();
  events();
  polls();
  asynchronous();
  works();
#ifdef __x86_64__
  old_ones();
#endif
  return 0;
}

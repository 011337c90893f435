/* Calls that slept for 15 ms until a neighbour did something, and calls that did not, whatever their names. Arguments: what to
 * do, and an empty folder. Prints "NAME ABI WORKED WAITED" of those that it knows. A thread or child is the neighbour. */
#include "counted.h"
#include <linux/futex.h>
#include <mqueue.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#define SOON_NS 15000000L

static const char *folder;
static char bytes[1 << 16];
static char path[400];
static int ends[2], other[2], pair[2], queue;

static void check(int wrong, const char *what) {
  if (wrong) {
    perror(what);
    exit(9);
  }
}
#define TRY(call) check((long)(call) < 0, #call)

/* The neighbour: a thread, which sleeps first by a call that is not told. */
static void (*act)(void);
static void *neighbour(void *unused) {
  usleep(SOON_NS / 1000);
  act();
  return unused;
}
static pthread_t later(void (*what)(void)) {
  pthread_t thread;
  act = what;
  check(pthread_create(&thread, NULL, neighbour, NULL), "thread");
  return thread;
}
/* By writev and readv, which are not told here. */
static void put(void) { TRY(writev(ends[1], &(struct iovec){bytes, 1}, 1)); }
static void put_pair(void) { TRY(writev(pair[1], &(struct iovec){bytes, 1}, 1)); }
static void take(void) { TRY(readv(ends[0], &(struct iovec){bytes, sizeof(bytes)}, 1)); }
static void take_pair(void) {
  for (int i = 0; i < 64; i++)
    if (readv(pair[1], &(struct iovec){bytes, sizeof(bytes)}, 1) < (long)sizeof(bytes)) return;
}
static void open_fifo(void) { TRY(syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_NONBLOCK)); }
static void nothing(void) {}
static void fill(int fd) {
  fcntl(fd, F_SETFL, O_NONBLOCK);
  while (writev(fd, &(struct iovec){bytes, 4096}, 1) > 0) {}
  while (writev(fd, &(struct iovec){bytes, 1}, 1) > 0) {}
  fcntl(fd, F_SETFL, 0);
}
#define WAITED(name, what, call) \
  do { \
    pthread_t thread = later(what); \
    TRY(call); \
    pthread_join(thread, NULL); \
    printf("%s - -1 1\n", name); \
  } while (0)
#define WORKED(name, count) printf("%s - %d 0\n", name, count)

static void pipes(void) {
  struct iovec one = {bytes, 1}, page = {bytes, 4096};
  TRY(pipe(ends));
  TRY(pipe(other));
  WAITED("preadv2", put, syscall(SYS_preadv2, ends[0], &one, 1, -1L, -1L, 0));
  WAITED("splice", put, splice(ends[0], NULL, other[1], NULL, 1, 0));
  WAITED("tee", put, tee(ends[0], other[1], 1, 0));
  take();
  fill(ends[1]);
  WAITED("vmsplice", take, vmsplice(ends[1], &page, 1, 0));
  fill(ends[1]);
  WAITED("pwritev2", take, syscall(SYS_pwritev2, ends[1], &page, 1, -1L, -1L, 0));
  snprintf(path, sizeof(path), "%s/fifo", folder);
  TRY(mkfifo(path, 0600));
  /* Two of openat: this one, and the neighbour's, which works. */
  WAITED("openat", open_fifo, syscall(SYS_openat, AT_FDCWD, path, O_WRONLY));
}

static void sockets(void) {
  struct sockaddr_un name = {.sun_family = AF_UNIX};
  off_t zero = 0;
  struct mmsghdr message = {.msg_hdr = {.msg_iov = &(struct iovec){bytes, 1}, .msg_iovlen = 1}};
  TRY(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  snprintf(path, sizeof(path), "%s/file", folder);
  int file = open(path, O_RDWR | O_CREAT, 0600);
  TRY(pwrite(file, bytes, 8192, 0));
  fill(pair[0]);
  WAITED("sendfile", take_pair, sendfile(pair[0], file, &zero, 4096));
  WAITED("recvmsg", put_pair, recvmsg(pair[0], &message.msg_hdr, 0));
  WAITED("recvmmsg", put_pair, syscall(SYS_recvmmsg, pair[0], &message, 1, 0, NULL));
  for (int i = 0; i < 100; i++) recvfrom(pair[0], bytes, 1, MSG_DONTWAIT, NULL, NULL);
  WORKED("recvfrom", 100);
#ifdef __x86_64__
  /* recv by socketcall, and a socket that needs no neighbour; msgrcv by ipc. */
  static unsigned arguments[4];
  unsigned values[4] = {pair[0], (unsigned)(long)bytes, 1, 0};
  memcpy(arguments, values, sizeof(arguments));
  pthread_t thread = later(put_pair);
  check(old_call(102, 10, (long)arguments, 0, 0) != 1, "socketcall");
  pthread_join(thread, NULL);
  arguments[0] = AF_UNIX, arguments[1] = SOCK_STREAM, arguments[2] = 0;
  for (int i = 0; i < 3; i++) check(old_call(102, 1, (long)arguments, 0, 0) < 0, "socketcall");
  printf("socketcall i386 3 1\n");
#endif
  /* Nobody listens: refused at once. */
  memcpy(name.sun_path, "\0nobody is here", 15);
  for (int i = 0; i < 5; i++) connect(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), (void *)&name, sizeof(name));
  WORKED("connect", 5);
}

static int hold_lock(int how) {
  int ready[2];
  char byte;
  TRY(pipe(ready));
  pid_t child = fork();
  if (!child) {
    struct flock lock = {.l_type = F_WRLCK};
    int fd = open(path, O_RDWR);
    how ? flock(fd, LOCK_EX) : fcntl(fd, F_SETLK, &lock);
    writev(ready[1], &(struct iovec){bytes, 1}, 1);
    usleep(SOON_NS / 1000);
    _exit(0);
  }
  TRY(readv(ready[0], &(struct iovec){&byte, 1}, 1));
  return child;
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static void *hold_mutex(void *unused) {
  pthread_mutex_lock(&mutex);
  put();
  usleep(SOON_NS / 1000);
  pthread_mutex_unlock(&mutex);
  return unused;
}

static void locks(void) {
  struct flock lock = {.l_type = F_WRLCK};
  snprintf(path, sizeof(path), "%s/locked", folder);
  int fd = open(path, O_RDWR | O_CREAT, 0600);
  hold_lock(0);
  TRY(fcntl(fd, F_SETLKW, &lock));
  lock.l_type = F_UNLCK;
  for (int i = 0; i < 20; i++) TRY(fcntl(fd, F_SETLK, &lock));
  printf("fcntl - -1 1\n");
  hold_lock(1);
  flock(fd, LOCK_EX | LOCK_NB);
  TRY(flock(fd, LOCK_EX));
  printf("flock - -1 1\n");
  /* A mutex of another thread; wakes, and waits for a word that has changed, are work. */
  TRY(pipe(ends));
  pthread_t thread;
  check(pthread_create(&thread, NULL, hold_mutex, NULL), "thread");
  TRY(readv(ends[0], &(struct iovec){bytes, 1}, 1));
  pthread_mutex_lock(&mutex);
  pthread_detach(thread);
  unsigned word = 5;
  for (int i = 0; i < 50; i++) {
    syscall(SYS_futex, &word, FUTEX_WAKE, 1, NULL, NULL, 0);
    syscall(SYS_futex, &word, FUTEX_WAIT, 4, NULL, NULL, 0);
  }
  printf("futex - -1 1\n");
  while (wait(NULL) > 0) {}
}

static void children(void) {
  siginfo_t info;
  pid_t child = fork();
  if (!child) {
    usleep(SOON_NS / 1000);
    _exit(0);
  }
  TRY(waitid(P_PID, child, &info, WEXITED | WNOHANG));
  TRY(waitid(P_PID, child, &info, WEXITED));
  printf("waitid - -1 1\n");
#ifdef SYS_vfork
  if (!vfork()) {
    syscall(SYS_nanosleep, &(struct timespec){0, SOON_NS}, NULL);
    _exit(0);
  }
  printf("vfork - 0 1\n");
#endif
  while (wait(NULL) > 0) {}
}

static void queues(void) {
  struct { long type; char text[8]; } message = {1, ""};
  union { int value; } argument = {0};
  queue = msgget(IPC_PRIVATE, 0600);
  TRY(queue);
  while (!msgsnd(queue, &message, 8, IPC_NOWAIT)) {}
  int child = fork();
  if (!child) {
    usleep(SOON_NS / 1000);
    for (int i = 0; i < 100; i++) msgrcv(queue, &message, 8, 0, IPC_NOWAIT);
    _exit(0);
  }
  TRY(msgsnd(queue, &message, 8, 0));
  TRY(msgctl(queue, IPC_RMID, NULL));
  printf("msgsnd - -1 1\n");
  int semaphore = semget(IPC_PRIVATE, 1, 0600);
  TRY(semctl(semaphore, 0, SETVAL, argument));
  child = fork();
  if (!child) {
    usleep(SOON_NS / 1000);
    semctl(semaphore, 0, SETVAL, 1);
    _exit(0);
  }
  TRY(syscall(SYS_semtimedop, semaphore, &(struct sembuf){0, -1, 0}, 1, NULL));
  TRY(semctl(semaphore, 0, IPC_RMID));
  printf("semtimedop - 0 1\n");
  snprintf(path, sizeof(path), "/kubestrace-%d", getpid());
  struct mq_attr attributes = {.mq_maxmsg = 1, .mq_msgsize = 8};
  mqd_t messages = mq_open(path, O_RDWR | O_CREAT, 0600, &attributes);
  TRY(messages);
  TRY(mq_unlink(path));
  TRY(mq_send(messages, bytes, 8, 0));
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_nsec += SOON_NS;
  if (until.tv_nsec >= 1000000000L) until.tv_sec++, until.tv_nsec -= 1000000000L;
  mq_timedsend(messages, bytes, 8, 0, &until);
  printf("mq_timedsend - 1 1\n");
  while (wait(NULL) > 0) {}
}

static void events(void) {
  struct timespec soon = {0, SOON_NS};
  struct epoll_event event = {.events = EPOLLIN};
  sigset_t set;
  uint64_t count = 1;
  int epoll = epoll_create1(0), counter = eventfd(0, 0), watch = inotify_init();
  TRY(epoll_ctl(epoll, EPOLL_CTL_ADD, counter, &event));
#ifdef SYS_epoll_wait
  TRY(syscall(SYS_epoll_wait, epoll, &event, 1, (int)(SOON_NS / 1000000)));
  for (int i = 0; i < 30; i++) TRY(syscall(SYS_epoll_wait, epoll, &event, 1, 0));
  printf("epoll_wait - 30 1\n");
#endif
  TRY(writev(counter, &(struct iovec){&count, 8}, 1));
  struct pollfd ready = {.fd = counter, .events = POLLIN}, never = {.fd = watch, .events = POLLIN};
  for (int i = 0; i < 40; i++) TRY(syscall(SYS_ppoll, &ready, 1, NULL, NULL, 8));
  TRY(syscall(SYS_ppoll, &never, 1, &soon, NULL, 8));
  printf("ppoll - 40 1\n");
  fd_set files;
  FD_ZERO(&files);
  FD_SET(watch, &files);
  soon = (struct timespec){0, SOON_NS};
  TRY(syscall(SYS_pselect6, watch + 1, &files, NULL, NULL, &soon, NULL));
  printf("pselect6 - 0 1\n");
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  soon = (struct timespec){0, SOON_NS};
  syscall(SYS_rt_sigtimedwait, &set, NULL, &soon, 8);
  printf("rt_sigtimedwait - 0 1\n");
  clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){0, SOON_NS}, NULL);
  printf("clock_nanosleep - 0 1\n");
}

static void work(void) {
  snprintf(path, sizeof(path), "%s/file", folder);
  int file = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CREAT, 0600);
  TRY(file);
  for (int i = 0; i < 10; i++) {
    TRY(pwrite64(file, bytes, sizeof(bytes), 0));
    TRY(fsync(file));
    TRY(fdatasync(file));
  }
  WORKED("openat", 2);
  WORKED("pwrite64", 10);
  WORKED("fsync", 10);
  WORKED("fdatasync", 10);
  for (int i = 0; i < 100; i++) sched_yield();
  WORKED("sched_yield", 100);
  for (int i = 0; i < 10; i++) TRY(syscall(SYS_getrandom, bytes, 256, 0));
  printf("getrandom - -1 0\n");
  int direct = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_DIRECT);
  void *page = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (direct >= 0)
    for (int i = 0; i < 10; i++) pread64(direct, page, 1 << 16, 0);
  WORKED("pread64", 10);
}

int main(int count, char **words) {
  if (count != 3) return 2;
  folder = words[2];
  struct { const char *name; void (*run)(void); } all[] = {
      {"pipes", pipes}, {"sockets", sockets}, {"locks", locks}, {"children", children},
      {"queues", queues}, {"events", events}, {"work", work}, {"nothing", nothing}};
  for (unsigned i = 0; i < sizeof(all) / sizeof(*all); i++)
    if (!strcmp(words[1], all[i].name)) all[i].run();
  fflush(stdout);
  return 0;
}

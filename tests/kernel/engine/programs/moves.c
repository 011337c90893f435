/* Moves known numbers of bytes by every call whose result says how many. Arguments: a file to make, another one.
 * Prints "NAME ABI BYTES ZEROS WAITED_BYTES WAITED_ZEROS", itself by write. */
#include "counted.h"
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

static char buffer[8192];
#define HALF {buffer, 100}, {buffer + 100, 23}

static void check(int wrong) {
  if (wrong) exit(9);
}
static void is(long result, long expected) { check(result != expected); }

static void with_files(const char *path, const char *other) {
  int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600), copy = open(other, O_RDWR | O_CREAT | O_TRUNC, 0600);
  int null = open("/dev/null", O_RDWR);
  struct iovec halves[] = {HALF};
  char *huge = mmap(NULL, 1UL << 30, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  check(file < 0 || copy < 0 || null < 0 || huge == MAP_FAILED);
  for (int i = 0; i < 10; i++) is(pwrite(file, buffer, 1000, 1000 * i), 1000);
  is(pwrite(-1, buffer, 1000, 0), -1);
  is(pwrite(file, buffer, 0, 0), 0);
  tell_abi("pwrite64", "-", 10000, 1, 0, 0);
  for (int i = 0; i < 6; i++) is(writev(null, &(struct iovec){huge, 1UL << 30}, 1), 1L << 30);
  is(writev(file, halves, 2), 123);
  is(lseek(file, 0, SEEK_SET), 0);
  is(readv(file, halves, 2), 123);
  tell_abi("readv", "-", 123, 0, 0, 0);
  is(pread(file, buffer, 8192, 9000), 1000);
  for (int i = 0; i < 3; i++) is(pread(file, buffer, 8192, 10000), 0);
  is(pread(null, buffer, 1, 0), 0);
  tell_abi("pread64", "-", 1000, 4, 0, 0);
  is(pwritev(file, halves, 2, 500), 123);
  is(preadv(file, halves, 2, 9990), 10);
  is(syscall(SYS_pwritev2, file, halves, 2, 0L, 0L, 0), 123);
  is(syscall(SYS_preadv2, file, halves, 2, 0L, 0L, 0), 123);
  tell_abi("pwritev", "-", 123, 0, 0, 0);
  tell_abi("preadv", "-", 10, 0, 0, 0);
  tell_abi("pwritev2", "-", 123, 0, 0, 0);
  tell_abi("preadv2", "-", 123, 0, 0, 0);
  is(sendfile(null, file, &(off_t){1}, 1 << 20), 9999);
  tell_abi("sendfile", "-", 9999, 0, 0, 0);
  is(copy_file_range(file, &(off_t){0}, copy, &(off_t){0}, 5000, 0), 5000);
  is(copy_file_range(file, &(off_t){10000}, copy, &(off_t){0}, 5000, 0), 0);
  tell_abi("copy_file_range", "-", 5000, 1, 0, 0);
  check(readlink("/proc/self/exe", buffer, 100) <= 0);
  tell_abi("readlink", "-", 0, 0, 0, 0);
}

static void with_pipes(const char *path) {
  int one[2], two[2], file = open(path, O_RDONLY);
  check(file < 0 || pipe(one) || pipe(two));
  is(splice(file, NULL, one[1], NULL, 3000, 0), 3000);
  is(tee(one[0], two[1], 2000, 0), 2000);
  is(vmsplice(two[1], &(struct iovec){buffer, 50}, 1, 0), 50);
  tell_abi("splice", "-", 3000, 0, 0, 0);
  tell_abi("tee", "-", 2000, 0, 0, 0);
  tell_abi("vmsplice", "-", 50, 0, 0, 0);
}

static void with_sockets(void) {
  int ends[2];
  struct iovec halves[] = {HALF};
  struct msghdr message = {.msg_iov = halves, .msg_iovlen = 2};
  struct mmsghdr several[2] = {{.msg_hdr = message}, {.msg_hdr = message}};
  check(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
  is(send(ends[0], buffer, 4000, 0), 4000);
  is(recv(ends[1], buffer, 100, MSG_PEEK), 100);
  is(recv(ends[1], buffer, 4000, 0), 4000);
  is(recv(ends[1], buffer, 4000, MSG_DONTWAIT), -1);
  is(sendmsg(ends[0], &message, 0), 123);
  is(recvmsg(ends[1], &message, 0), 123);
  is(sendmmsg(ends[0], several, 2, 0), 2);
  is(shutdown(ends[0], SHUT_WR), 0);
  is(recv(ends[1], buffer, 4000, MSG_WAITALL), 246);
  is(recv(ends[1], buffer, 4000, 0), 0);
  tell_abi("sendto", "-", 4000, 0, 0, 0);
  tell_abi("recvfrom", "-", 4346, 1, 0, 0);
  tell_abi("sendmsg", "-", 123, 0, 0, 0);
  tell_abi("recvmsg", "-", 123, 0, 0, 0);
  tell_abi("sendmmsg", "-", 0, 0, 0, 0);
}

static void with_processes(void) {
  struct {
    long type;
    char text[64];
  } message = {.type = 1};
  struct iovec from = {buffer, 4096}, to = {buffer + 4096, 4096};
  int queue = msgget(IPC_PRIVATE, 0600);
  check(queue < 0 || msgsnd(queue, &message, 64, 0));
  is(msgrcv(queue, &message, 64, 0, 0), 64);
  check(msgctl(queue, IPC_RMID, NULL));
  is(process_vm_readv(getpid(), &to, 1, &from, 1, 0), 4096);
  is(process_vm_writev(getpid(), &from, 1, &to, 1, 0), 4096);
  tell_abi("msgrcv", "-", 64, 0, 0, 0);
  tell_abi("process_vm_readv", "-", 4096, 0, 0, 0);
  tell_abi("process_vm_writev", "-", 4096, 0, 0, 0);
}

/* By read, which no other part of this program uses: what is there, and what has to be waited for. */
static void with_a_neighbour(int file) {
  int ends[2], first = read(file, buffer, sizeof(buffer)), rest = read(file, buffer, sizeof(buffer));
  check(pipe(ends));
  if (fork() == 0) {
    usleep(20000);
    check(writev(ends[1], &(struct iovec){buffer, 77}, 1) != 77);
    usleep(20000);
    _exit(0);
  }
  close(ends[1]);
  is(read(ends[0], buffer, 4096), 77);
  is(read(ends[0], buffer, 4096), 0);
  is(first + rest, 10000);
  tell_abi("writev", "-", 6L * (1L << 30) + 123 + 77, 0, 0, 0);
  tell_abi("read", "-", 10000, 0, 77, 1);
#ifdef __x86_64__
  check(lseek(file, 9999, SEEK_SET) != 9999);
  is(old_call(3, file, (long)buffer, 100, 0), 1);
  is(old_call(3, file, (long)buffer, 100, 0), 0);
  tell_abi("read", "i386", 1, 1, 0, 0);
#endif
}

int main(int argc, char **argv) {
  if (argc != 3) return 9;
  with_files(argv[1], argv[2]);
  with_pipes(argv[1]);
  with_sockets();
  with_processes();
  with_a_neighbour(open(argv[1], O_RDONLY));
  return 0;
}

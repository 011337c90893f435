// Does known things with known files of the folder it is given, so many times.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static int must(long result, const char *what) {
  if (result >= 0) return (int)result;
  perror(what);
  exit(1);
}

static void must_fail(long result, int why, const char *what) {
  if (result < 0 && errno == why) return;
  fprintf(stderr, "%s: %ld, errno %d\n", what, result, errno);
  exit(1);
}

static int made(const char *name, int flags) {
  return must(syscall(SYS_openat, AT_FDCWD, name, flags | O_CREAT, 0644), name);
}

// Bytes and calls of each way to read and write.
static void moves(void) {
  char data[8192] = {1};
  struct iovec two[2] = {{data, 100}, {data, 50}};
  int source = made("source", O_RDWR);
  for (int i = 0; i < 10; i++) must(write(source, data, 4096), "write");
  must(pwrite(source, data, 1000, 0), "pwrite");
  must(writev(source, two, 2), "writev");
  must(pwritev(source, two, 2, 0), "pwritev");
  must(pwritev2(source, two, 2, 0, RWF_DSYNC), "pwritev2");
  for (int i = 0; i < 7; i++) must(pread(source, data, 1, i), "pread");
  must(preadv(source, two, 2, 0), "preadv");
  must(preadv2(source, two, 2, 0, 0), "preadv2");
  must(lseek(source, 0, SEEK_SET), "lseek");
  must(read(source, data, 4096), "read");
  must(readv(source, two, 2), "readv");
  for (int i = 0; i < 3; i++) must(fsync(source), "fsync");
  must(fdatasync(source), "fdatasync");
  int sent = made("sent", O_WRONLY), copied = made("copied", O_WRONLY), spliced = made("spliced", O_WRONLY);
  int synced = made("synced", O_WRONLY | O_SYNC), pipes[2];
  off_t at = 0;
  loff_t from = 0;
  must(sendfile(sent, source, &at, 3000), "sendfile");
  must(syscall(SYS_copy_file_range, source, &from, copied, NULL, 2000, 0), "copy_file_range");
  must(pipe(pipes), "pipe");
  from = 0;
  must(splice(source, &from, pipes[1], NULL, 500, 0), "splice");
  must(splice(pipes[0], NULL, spliced, NULL, 500, 0), "splice");
  for (int i = 0; i < 2; i++) must(write(synced, data, 10), "write");
  must_fail(write(12345, data, 1), EBADF, "write to nothing");
  must_fail(syscall(SYS_read, source, 8, 10), EFAULT, "read to nowhere");
  char *mapped = mmap(NULL, 4096, PROT_READ, MAP_SHARED, source, 0);
  if (mapped == MAP_FAILED) must(-1, "mmap");
  volatile char seen = mapped[17];
  (void)seen;
}

// Names: relative, by a descriptor, through links, renamed, deleted, not ASCII.
static void names(const char *folder) {
  char data[64] = {0}, path[PATH_MAX];
  must(mkdir("sub", 0755), "mkdir");
  close(made("sub/file", O_WRONLY));
  must(symlink("sub", "way"), "symlink");
  must(link("sub/file", "sub/hard"), "link");
  struct stat status;
  snprintf(path, sizeof(path), "%s/sub/file", folder);
  for (int i = 0; i < 5; i++) must(syscall(SYS_newfstatat, AT_FDCWD, path, &status, 0), "stat absolute");
  for (int i = 0; i < 4; i++) must(syscall(SYS_newfstatat, AT_FDCWD, "sub/./file", &status, 0), "stat relative");
  int sub = must(open("sub", O_PATH | O_DIRECTORY), "open sub");
  for (int i = 0; i < 3; i++) must(syscall(SYS_newfstatat, sub, "file", &status, 0), "stat by descriptor");
  must(syscall(SYS_newfstatat, sub, "../sub/file", &status, 0), "stat upward");
  for (int i = 0; i < 6; i++) {
    int through = must(open("way/file", O_RDONLY), "open through a link");
    must(syscall(SYS_newfstatat, through, "", &status, AT_EMPTY_PATH), "fstat");
    must(pread(through, data, 1, 0), "read through a link");
    close(through);
  }
  int hard = must(open("sub/hard", O_WRONLY), "open a hard link");
  must(write(hard, data, 3), "write to a hard link");
  for (int i = 0; i < 9; i++) must_fail(open("missing", O_RDONLY), ENOENT, "open missing");
  for (int i = 0; i < 2; i++) must_fail(open("sub/file/below", O_RDONLY), ENOTDIR, "open below a file");
  must_fail(mkdir("sub", 0755), EEXIST, "mkdir again");
  must_fail(syscall(SYS_openat, AT_FDCWD, 16, O_RDONLY), EFAULT, "open nowhere");
  int before = made("before", O_RDWR);
  must(rename("before", "after"), "rename");
  must(write(before, data, 11), "write after rename");
  int gone = made("gone", O_RDWR);
  must(unlink("gone"), "unlink");
  for (int i = 0; i < 8; i++) must(write(gone, data, 2), "write to what is deleted");
  int odd = made("odd\xff\n\"name", O_WRONLY);
  must(write(odd, data, 1), "write to an odd name");
  int unnamed = must(syscall(SYS_memfd_create, "memory", 0), "memfd_create");
  must(write(unnamed, data, 5), "write to memory");
}

// A file that is made, written and deleted, under ever the same inode number.
static void reused(int count) {
  char name[32], data[64] = {0};
  for (int i = 0; i < count; i++) {
    snprintf(name, sizeof(name), "temporary-%d", i);
    int fd = made(name, O_WRONLY);
    must(write(fd, data, i + 1), name);
    close(fd);
    must(unlink(name), name);
    usleep(20000); // until the kernel uses the memory of the deleted one's inode again
  }
}

// Paths around the sizes at which they are hashed and stored.
static void long_paths(void) {
  struct stat status;
  static const int sizes[] = {2, 7, 8, 9, 63, 64, 65, 254, 255, 256, 257, 1023, 1024, 4087, 4088, 4089, 4094, 4095};
  static char path[PATH_MAX + 8];
  for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
    int length = sizes[i];
    for (int at = 0; at < length; at++) path[at] = at % 200 ? 'x' : '/';
    path[length] = 0;
    for (unsigned times = 0; times <= i; times++)
      must_fail(syscall(SYS_newfstatat, AT_FDCWD, path, &status, 0), ENOENT, path);
  }
  memset(path, 'x', PATH_MAX + 1);
  path[0] = '/';
  must_fail(syscall(SYS_newfstatat, AT_FDCWD, path, &status, 0), ENAMETOOLONG, "longer than PATH_MAX");
}

static int shared_file;

static void *use_one_file(void *unused) {
  struct stat status;
  char byte;
  for (int i = 0; i < 20000; i++) {
    must(pread(shared_file, &byte, 1, 0), "pread");
    must(syscall(SYS_newfstatat, AT_FDCWD, "shared", &status, 0), "stat");
    must_fail(syscall(SYS_openat, AT_FDCWD, "absent", O_RDONLY), ENOENT, "open absent");
  }
  return unused;
}

// As many at once as there may be: all use one file and one path.
static void threads(void) {
  pthread_t all[8];
  shared_file = made("shared", O_RDWR);
  must(write(shared_file, "x", 1), "write");
  for (int i = 0; i < 8; i++) must(-pthread_create(&all[i], NULL, use_one_file, NULL), "pthread_create");
  for (int i = 0; i < 8; i++) must(-pthread_join(all[i], NULL), "pthread_join");
}

static void many(int count) {
  struct stat status;
  char name[32];
  for (int times = 0; times < 2; times++)
    for (int i = 0; i < count; i++) {
      snprintf(name, sizeof(name), "/no/such/file-%d", i);
      must_fail(syscall(SYS_newfstatat, AT_FDCWD, name, &status, 0), ENOENT, name);
    }
}

int main(int argc, char **argv) {
  const char *mode = argc > 2 ? argv[2] : "";
  char word;
  must(chdir(argv[1]), argv[1]);
  must(read(0, &word, 1), "read a word");
  if (!strcmp(mode, "moves")) moves();
  if (!strcmp(mode, "names")) names(argv[1]);
  if (!strcmp(mode, "reused")) reused(atoi(argv[3]));
  if (!strcmp(mode, "long")) long_paths();
  if (!strcmp(mode, "threads")) threads();
  if (!strcmp(mode, "many")) many(atoi(argv[3]));
  must(write(1, "done\n", 5), "write");
  must(read(0, &word, 1), "read a word");
  return 0;
}

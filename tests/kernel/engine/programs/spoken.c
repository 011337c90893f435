/* spoken: calls with many constants, nearly all of which fail,
          for a comparison of their words with strace's. The first one
 * is a write of nothing to standard output. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

int main(void) {
  int word = 0, one = 1, p[2];
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_END, .l_start = 7, .l_len = 9};
  struct epoll_event ev = {0};
  struct stat st;
  socklen_t len = 4;
  siginfo_t si;
  struct timespec time = {0}, wrong = {0, -1}, soon = {0, 1};

  if (write(1, "", 0)) return 1;
  syscall(SYS_openat, AT_FDCWD, "/nowhere/a", O_RDONLY | O_CLOEXEC);
  syscall(SYS_openat, AT_FDCWD, "/nowhere/b", O_WRONLY | O_CREAT | O_TRUNC | O_EXCL, 0644);
  syscall(SYS_openat, AT_FDCWD, "/nowhere/c", O_RDWR | O_APPEND | O_NONBLOCK | O_NOFOLLOW);
  syscall(SYS_openat, AT_FDCWD, "/nowhere/d", O_RDONLY | O_DIRECTORY | O_PATH);
  syscall(SYS_openat, AT_FDCWD, "/nowhere/e", O_RDWR | O_SYNC | O_DIRECT);
  syscall(SYS_openat, AT_FDCWD, "/nowhere/f", O_RDWR | O_DSYNC | O_NOATIME | O_NOCTTY);
  syscall(SYS_openat, AT_FDCWD, "/nowhere", O_RDWR | O_TMPFILE, 0600);
  syscall(SYS_openat, -1, "nowhere", O_RDONLY | O_LARGEFILE);
  syscall(SYS_fcntl, -1, F_SETLKW, &lock);
  syscall(SYS_fcntl, -1, F_OFD_SETLK, &lock);
  syscall(SYS_fcntl, -1, F_GETFL);
  syscall(SYS_fcntl, -1, F_SETFL, O_RDWR | O_NONBLOCK);
  syscall(SYS_fcntl, -1, F_SETFD, FD_CLOEXEC);
  syscall(SYS_fcntl, -1, F_DUPFD_CLOEXEC, 3);
  syscall(SYS_fcntl, -1, F_ADD_SEALS, F_SEAL_WRITE);
  syscall(SYS_fcntl, -1, F_SETPIPE_SZ, 4096);
  syscall(SYS_flock, -1, LOCK_EX | LOCK_NB);
  syscall(SYS_flock, -1, LOCK_SH);
  syscall(SYS_flock, -1, LOCK_UN);
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0);
  syscall(SYS_futex, &word, FUTEX_WAIT, 1, NULL, NULL, 0);
  syscall(SYS_futex, &word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME, 1, NULL, NULL, -1);
  syscall(SYS_futex, &word, FUTEX_CMP_REQUEUE_PRIVATE, 1, 1, &word, 5);
  syscall(SYS_clock_nanosleep, 77, 0, &time, NULL);
  syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &wrong, NULL);
  syscall(SYS_clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &soon, NULL);
  syscall(SYS_kill, 99999999, SIGTERM);
  syscall(SYS_kill, 99999999, SIGKILL);
  syscall(SYS_kill, 99999999, 0);
  syscall(SYS_tgkill, 99999999, 99999998, SIGRTMIN);
  syscall(SYS_tkill, 99999999, SIGUSR1);
  syscall(SYS_kill, 99999999, 64);
  syscall(SYS_kill, 99999999, 200);
  syscall(SYS_socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 77);
  syscall(SYS_socket, AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, IPPROTO_TCP);
  syscall(SYS_socket, AF_UNIX, SOCK_SEQPACKET, 9);
  syscall(SYS_socket, 99, SOCK_RAW, 0);
  syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, -1, 0);
  syscall(SYS_mmap, NULL, 4096, PROT_NONE, MAP_SHARED | MAP_POPULATE, -1, 0);
  syscall(SYS_mmap, NULL, 0, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  syscall(SYS_mmap, (void*)1, 4096, PROT_READ, MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS, -1, 0);
  syscall(SYS_mprotect, 1, 4096, PROT_READ | PROT_GROWSDOWN);
  syscall(SYS_madvise, 1, 4096, MADV_DONTNEED);
  syscall(SYS_madvise, 1, 4096, MADV_HUGEPAGE);
  syscall(SYS_madvise, 1, 4096, MADV_FREE);
  syscall(SYS_msync, 1, 4096, MS_SYNC | MS_INVALIDATE);
  syscall(SYS_mremap, 1, 4096, 8192, MREMAP_MAYMOVE);
  syscall(SYS_ioctl, -1, TCGETS, 0);
  syscall(SYS_ioctl, -1, TIOCGWINSZ, 0);
  syscall(SYS_ioctl, -1, FIONREAD, 0);
  syscall(SYS_ioctl, -1, FIONBIO, 0);
  syscall(SYS_ioctl, -1, FIOCLEX, 0);
  syscall(SYS_ioctl, -1, TIOCSCTTY, 0);
  syscall(SYS_ioctl, -1, 0x8927, 0);
  syscall(SYS_ioctl, -1, 0x1268, 0);
  syscall(SYS_epoll_ctl, -1, EPOLL_CTL_ADD, 0, &ev);
  syscall(SYS_epoll_ctl, -1, EPOLL_CTL_MOD, 0, &ev);
  syscall(SYS_epoll_ctl, -1, EPOLL_CTL_DEL, 0, &ev);
  syscall(SYS_epoll_create1, 77);
  syscall(SYS_prctl, 9999, 0, 0, 0, 0);
  syscall(SYS_prctl, PR_SET_NAME, 1, 0, 0, 0);
  syscall(SYS_prctl, PR_CAPBSET_READ, 99, 0, 0, 0);
  syscall(SYS_prctl, PR_SET_PDEATHSIG, 99, 0, 0, 0);
  syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0);
  syscall(SYS_prctl, PR_SET_SECCOMP, 9, 0, 0, 0);
  syscall(SYS_lseek, -1, 0, SEEK_SET);
  syscall(SYS_lseek, -1, 5, SEEK_END);
  syscall(SYS_lseek, -1, 0, SEEK_DATA);
  syscall(SYS_lseek, -1, -7, SEEK_CUR);
  syscall(SYS_wait4, -1, NULL, WNOHANG, NULL);
  syscall(SYS_wait4, -1, NULL, WUNTRACED | __WALL, NULL);
  syscall(SYS_wait4, 99999, NULL, 0, NULL);
  syscall(SYS_waitid, P_ALL, 0, &si, WEXITED | WNOWAIT, NULL);
  syscall(SYS_waitid, P_PID, 9999999, &si, WEXITED | WSTOPPED | WNOHANG, NULL);
  syscall(SYS_newfstatat, AT_FDCWD, "/nowhere", &st, AT_SYMLINK_NOFOLLOW);
  syscall(SYS_newfstatat, -1, "", &st, AT_EMPTY_PATH);
  syscall(SYS_unlinkat, AT_FDCWD, "/nowhere", AT_REMOVEDIR);
  syscall(SYS_linkat, AT_FDCWD, "/nowhere", AT_FDCWD, "/nowhere2", AT_SYMLINK_FOLLOW);
  syscall(SYS_faccessat2, AT_FDCWD, "/nowhere", R_OK | X_OK, AT_EACCESS);
  syscall(SYS_faccessat, AT_FDCWD, "/nowhere", F_OK);
  syscall(SYS_access, "/nowhere", W_OK);
  syscall(SYS_access, "/nowhere", F_OK);
  syscall(SYS_statx, -1, "a", AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, NULL);
  syscall(SYS_renameat2, AT_FDCWD, "/nowhere", AT_FDCWD, "/nowhere2", RENAME_NOREPLACE);
  syscall(SYS_setns, -1, CLONE_NEWNET);
  syscall(SYS_mkdirat, AT_FDCWD, "/nowhere/a", 0755);
  syscall(SYS_chmod, "/nowhere", 04755);
  syscall(SYS_fchmodat, AT_FDCWD, "/nowhere", 0640);
  syscall(SYS_mknodat, AT_FDCWD, "/nowhere/a", S_IFIFO | 0600, 0);
  syscall(SYS_utimensat, AT_FDCWD, "/nowhere", NULL, AT_SYMLINK_NOFOLLOW);
  syscall(SYS_setsockopt, -1, SOL_SOCKET, SO_REUSEADDR, &one, 4);
  syscall(SYS_setsockopt, -1, IPPROTO_TCP, TCP_NODELAY, &one, 4);
  syscall(SYS_getsockopt, -1, SOL_SOCKET, SO_ERROR, &one, &len);
  syscall(SYS_setsockopt, -1, IPPROTO_IPV6, IPV6_V6ONLY, &one, 4);
  syscall(SYS_setsockopt, -1, IPPROTO_IP, IP_TTL, &one, 4);
  syscall(SYS_sendto, -1, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0);
  syscall(SYS_recvfrom, -1, &one, 1, MSG_PEEK | MSG_TRUNC, NULL, NULL);
  syscall(SYS_accept4, -1, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  syscall(SYS_shutdown, -1, SHUT_RDWR);
  syscall(SYS_shutdown, -1, SHUT_WR);
  syscall(SYS_pipe2, p, 0x1);
  syscall(SYS_dup3, -1, 5, O_CLOEXEC);
  syscall(SYS_eventfd2, 0, 77);
  syscall(SYS_timerfd_create, 99, 0);
  syscall(SYS_inotify_add_watch, -1, "/", IN_MODIFY | IN_CREATE | IN_ONLYDIR);
  syscall(SYS_fallocate, -1, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 0L, 4096L);
  syscall(SYS_memfd_create, NULL, 1);
  syscall(SYS_memfd_create, "x", 0x8000);
  syscall(SYS_splice, -1, 0, -1, 0, 1, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  syscall(SYS_umount2, "/nowhere", MNT_DETACH);
  syscall(SYS_mount, "a", "/nowhere", "tmpfs", MS_NOSUID | MS_RDONLY, NULL);
  syscall(SYS_getrandom, 1, 8, 1 | 0x100);
  syscall(SYS_rt_sigaction, 99, 0, 0, 8);
  syscall(SYS_rt_sigaction, SIGKILL, 1, 0, 8);
  syscall(SYS_rt_sigprocmask, 77, 1, 0, 8);
  syscall(SYS_fchownat, AT_FDCWD, "/nowhere", 0, 0, AT_SYMLINK_NOFOLLOW);
  syscall(SYS_fadvise64, -1, 0, 0, POSIX_FADV_WILLNEED);
  syscall(SYS_epoll_pwait, -1, &ev, 1, -1, NULL, 8);
  syscall(SYS_name_to_handle_at, AT_FDCWD, "/nowhere", NULL, NULL, 0);
  syscall(SYS_sync_file_range, -1, 0, 0, SYNC_FILE_RANGE_WRITE);
  syscall(SYS_getrusage, 77, 0);
  syscall(SYS_prlimit64, 0, 77, 0, 0);
  syscall(SYS_sched_setscheduler, 0, 77, 0);
  syscall(SYS_mlockall, MCL_CURRENT | 0x40);
  syscall(SYS_clock_gettime, 77, &si);
  syscall(SYS_openat2, AT_FDCWD, "/nowhere", NULL, 0);
  syscall(SYS_pidfd_open, -1, 0);
  syscall(SYS_copy_file_range, -1, 0, -1, 0, 1, 0);
  syscall(SYS_preadv2, -1, 0, 0, 0L, 0L, 8);
  syscall(SYS_seccomp, 9, 0, 0);
  syscall(SYS_fsync, -1);
  return 0;
}

/* Calls that a seccomp filter denies: an exit without an entry. Some answers are no errno, one is 0. */
#include "counted.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

#define DENY(nr, error) \
  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))

int main(void) {
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      DENY(SYS_mkdirat, EPERM),
      DENY(SYS_swapoff, 1000),
      DENY(SYS_vhangup, 0),
      DENY(SYS_unshare, 512),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof(filter) / sizeof(*filter), filter};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) return 9;
  for (int i = 0; i < 100; i++) {
    syscall(SYS_mkdirat, AT_FDCWD, "/nowhere/at/all", 0);
    syscall(SYS_getppid);
  }
  for (int i = 0; i < 5; i++) syscall(SYS_swapoff, "x");
  for (int i = 0; i < 7; i++) syscall(SYS_vhangup);
  tell_abi("mkdirat", "-", 100, 100, 0, 0);
  tell_abi("swapoff", "-", 5, 5, 0, 0);
  tell_abi("vhangup", "-", 7, 0, 0, 0);
  tell("getppid", 100, 0);
  return 0;
}

"""What a container runtime calls between loading the filter and the first call of the program. Pure data.

For runc tests/kernel/local/test_local_seccomp.py tries them; crun's are those that the base profile of the
security-profiles-operator has for the steps after the filter is loaded (capabilities, user, executing the program).
"""

# A process that runs already needs these once it ends, or once a signal comes: a session may not have seen either.
ENDINGS = frozenset({"exit", "exit_group", "rt_sigreturn", "restart_syscall"})

# Capabilities and user, the working folder, the file descriptors in /proc/self/fd, the program. The test with runc 1.1
# fails without one of capget, capset, chdir, fstat, fstatfs, getcwd, getdents64, getppid, prctl, setgid, setgroups and
# setuid; a newer one checks the program by faccessat2 and closes descriptors by close_range; crun sets users by
# setresuid.
_STEPS = frozenset({
    "capget", "capset", "chdir", "close", "close_range", "dup3", "execve", "faccessat", "faccessat2", "fchdir",
    "fchown", "fcntl", "fstat", "fstatfs", "getcwd", "getdents64", "getegid", "geteuid", "getgid", "getpid", "getppid",
    "getuid", "newfstatat", "openat", "openat2", "prctl", "read", "readlinkat", "setgid", "setgroups", "setresgid",
    "setresuid", "setuid", "statfs", "umask", "write",
})  # fmt: skip

# runc init is a Go program with several threads, which go on meanwhile: memory, signals, sleep.
_GO = frozenset({
    "epoll_ctl", "epoll_pwait", "futex", "gettid", "madvise", "mmap", "munmap", "nanosleep", "rt_sigaction",
    "rt_sigprocmask", "sched_yield", "sigaltstack", "tgkill",
})  # fmt: skip

RUNTIME_CALLS = _STEPS | _GO | ENDINGS

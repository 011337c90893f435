"""What a container runtime calls between loading the filter and the first call of the program. Pure data.

For runc tests/kernel/local/test_local_seccomp.py tries them; crun's are those that the base profile of the
security-profiles-operator has for the steps after the filter is loaded (capabilities, user, executing the program).
"""

# A process that runs already needs these once it ends, or once a signal comes: a session may not have seen either.
ENDINGS = frozenset({"exit", "exit_group", "rt_sigreturn", "restart_syscall"})

# Capabilities and user, the working folder, the file descriptors of /proc/self/fd, the program.
_STEPS = frozenset({
    "capget", "capset", "chdir", "close", "close_range", "dup2", "dup3", "execve", "faccessat", "faccessat2", "fchdir",
    "fchown", "fcntl", "fstat", "fstatfs", "getcwd", "getdents64", "getegid", "geteuid", "getgid", "getpid", "getppid",
    "gettid", "getuid", "ioctl", "lseek", "newfstatat", "openat", "openat2", "prctl", "read", "readlinkat", "setgid",
    "setgroups", "setresgid", "setresuid", "setsid", "setuid", "statfs", "statx", "umask", "write",
})  # fmt: skip

# runc init is a Go program with several threads, which go on meanwhile.
_GO = frozenset({
    "brk", "clock_gettime", "epoll_create1", "epoll_ctl", "epoll_pwait", "eventfd2", "futex", "getrandom", "madvise",
    "mmap", "mprotect", "munmap", "nanosleep", "pipe2", "rt_sigaction", "rt_sigprocmask", "sched_getaffinity",
    "sched_yield", "sigaltstack", "tgkill",
})  # fmt: skip

RUNTIME_CALLS = _STEPS | _GO | ENDINGS

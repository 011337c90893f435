"""Failed calls in words."""

import pytest

from kubestrace_operator.findings import failed_call


@pytest.mark.parametrize(
    ("syscall", "arguments", "words"),
    [
        ("openat", 'AT_FDCWD, "/etc/app.yaml", O_RDONLY|O_CLOEXEC', 'open "/etc/app.yaml"'),
        ("open", '"/etc/a \\"b\\".yaml", O_RDONLY', 'open "/etc/a \\"b\\".yaml"'),
        ("openat", '3</etc/app>, "conf.yaml", O_RDONLY', 'open "conf.yaml" in /etc/app'),
        ("openat", '3</etc/app>, "/conf.yaml", O_RDONLY', 'open "/conf.yaml"'),
        ("openat", '7</srv/a, b>, "c", O_RDONLY', 'open "c" in /srv/a, b'),
        ("execve", '"/bin/app"..., ["app"], ...', 'execute "/bin/app"... to "app"'),
        ("mkdir", '"/data", 0755', 'make the folder "/data"'),
        ("rename", '"/a", "/b"', 'rename "/a" to "/b"'),
        ("unlinkat", 'AT_FDCWD, "/a", 0', 'remove "/a"'),
        ("write", '3</data/log>, "x", 1', "write to /data/log"),
        ("write", '1<pipe>, "x", 1', "write to pipe"),
        ("pwrite64", "3, ..., 1, 0", "call pwrite64(3, ..., 1, 0)"),
        ("fdatasync", "3</data/log>", "sync /data/log"),
        ("flock", "3</run/lock>, LOCK_EX", "lock /run/lock"),
        ("statx", 'AT_FDCWD, "/mnt/nfs", 0, STATX_ALL, ...', 'look at "/mnt/nfs"'),
        ("getdents64", "3</mnt/nfs>, ..., 32768", "list /mnt/nfs"),
        ("connect", "3<socket>, 127.0.0.1:5432, 16", "connect to 127.0.0.1:5432"),
        ("connect", "3<socket>, [::1]:5432, 28", "connect to [::1]:5432"),
        ("connect", "3, unix:/run/a, b, 110", "connect to unix:/run/a, b"),
        ("connect", "3, 10.0.0.5:80", "connect to 10.0.0.5:80"),
        ("bind", "7<socket>, 0.0.0.0:80, 16", "listen at 0.0.0.0:80"),
        ("connect", "3<socket>, ..., 16", "call connect(3<socket>, ..., 16)"),
        ("openat", "AT_FDCWD, ..., O_RDONLY", "call openat(AT_FDCWD, ..., O_RDONLY)"),
        ("openat", "", "call openat()"),
        ("clone", "CLONE_VM|SIGCHLD, NULL, NULL, ..., NULL", "start a process or a thread"),
        ("inotify_add_watch", '3<anon_inode:inotify>, "/etc/app", IN_MODIFY', 'watch "/etc/app"'),
        ("inotify_init1", "IN_CLOEXEC", "watch files"),
        ("chown", '"/a", 0, 0', 'change the owner of "/a"'),
        ("listen", "3<0.0.0.0:80>, 128", "accept connections at 0.0.0.0:80"),
        ("chdir", '"/srv"', 'enter the folder "/srv"'),
        ("setxattr", '"/a", ...', 'call setxattr("/a", ...)'),
    ],
)
def test_a_call_is_told_in_words(syscall: str, arguments: str, words: str) -> None:
    """What was tried, on which file or address; of what is not known the call itself."""
    assert failed_call.tried(syscall, arguments) == words


def test_long_names_are_cut() -> None:
    """A sentence holds 120 characters of them."""
    assert len(failed_call.tried("open", f'"/{"x" * 5000}"')) <= len("open ") + 120


def test_an_error_keeps_its_name() -> None:
    """Words for people, and the name to search for."""
    assert failed_call.why("ENOENT") == "no such file (ENOENT)"
    assert failed_call.why("EIO") == "EIO"
    assert failed_call.why("EAGAIN") == "EAGAIN"
    assert failed_call.why("EAGAIN", "flock") == "another process holds it (EAGAIN)"

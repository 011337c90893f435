"""Errors that are answers."""

from kubestrace_operator.results import expected
from kubestrace_operator.results.rows import SyscallRow
from kubestrace_operator.status import rows


def test_what_the_errno_alone_proves() -> None:
    """By call and errno; what may be a failure is never marked."""
    assert "told not to wait" in expected.reason("recvfrom", "EAGAIN")
    assert expected.reason("ioctl", "ENOTTY")
    assert expected.reason("connect", "EINPROGRESS")
    assert expected.reason("wait4", "ECHILD")
    # clone's EAGAIN is a limit, openat's ENOENT may be the missing file, connect's ETIMEDOUT a peer.
    assert not any(
        expected.reason(*each)
        for each in (("clone", "EAGAIN"), ("openat", "ENOENT"), ("connect", "ETIMEDOUT"), ("kill", "ESRCH"))
    )


def test_they_stand_behind_the_others_and_are_counted_as_ever() -> None:
    """However many they are."""
    read = SyscallRow("read", calls=9, errors=9, errnos={"EAGAIN": 8, "EIO": 1})

    found = rows.error_counts([read])

    assert [(row["errno"], row["count"], "expected" in row) for row in found] == [
        ("EIO", 1, False),
        ("EAGAIN", 8, True),
    ]

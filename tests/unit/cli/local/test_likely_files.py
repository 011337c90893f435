"""Files that a short COMMAND may have."""

from pathlib import Path

from kubestrace_cli.local import likely_files


def test_the_executable_and_the_libraries_of_this_process(tmp_path: Path) -> None:
    """Links are followed, as the kernel does; code of no file is none."""
    (tmp_path / "app").touch()
    (tmp_path / "link").symlink_to("app")
    maps = tmp_path / "maps"
    maps.write_bytes(
        b"55d0c0000000-55d0c0001000 r--p 00000000 fd:00 1      /usr/bin/python3\n"
        b"7f0000000000-7f0000001000 r-xp 00001000 fd:00 2      /usr/lib/lib with space.so\n"
        b"7f0000002000-7f0000003000 r-xp 00000000 00:00 0 \n"
        b"7ffc00000000-7ffc00002000 r-xp 00000000 00:00 0      [vdso]\n"
    )

    found = likely_files.of(str(tmp_path / "link"), maps)

    assert found == [bytes(tmp_path / "app"), b"/usr/lib/lib with space.so"]


def test_libc_is_among_them() -> None:
    """Nearly each program has it."""
    assert any(b"libc.so" in path or b"libc-" in path for path in likely_files.of("/bin/true"))

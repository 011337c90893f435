"""Arguments in words, compared with those of the strace that is installed here."""

import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from kubestrace_agent.syscalls import arguments, words
from kubestrace_agent.syscalls.arguments import Kind

pytestmark = pytest.mark.skipif(
    shutil.which("strace") is None or platform.machine() != "x86_64",
    reason="needs strace, and its own words for x86-64",
)
_CALL = re.compile(r"(\w+)\((.*)\) += ")
_COMMENT = re.compile(r"\s*/\*.*?\*/")
# What only call_arguments can say, from what it was given of the program or the kernel.
_OTHERWISE = frozenset(Kind) - {Kind.NUMBER, Kind.FLAGS, Kind.OFFSET, Kind.SIZE, Kind.MODE}
# strace says both names of one number.
_BOTH = {"BTRFS_IOC_CLONE or FICLONE": "FICLONE"}


def lines(program: Path, target: Path, *options: str) -> list[tuple[str, list[str]]]:
    """Return name and arguments of the program's calls, at the same addresses each time."""
    strace = ["setarch", "-R", "strace", *options, "-o", str(target), str(program)]
    subprocess.run(strace, check=True, timeout=200, stdout=subprocess.DEVNULL)
    found = [_CALL.match(line) for line in target.read_text(errors="replace").splitlines()]
    calls = [(match[1], list(parts(match[2]))) for match in found if match]
    names = [name for name, _ in calls]
    return calls[names.index("write") + 1 :]


def parts(text: str) -> Iterator[str]:
    """Yield arguments, whose strings and structures have commas of their own."""
    depth, part, quoted = 0, "", False
    for character in text:
        quoted ^= character == '"'
        depth += 0 if quoted else (character in "{[(") - (character in "}])")
        if character == "," and not depth and not quoted:
            yield part.strip()
            part = ""
        else:
            part += character
    if part.strip():
        yield part.strip()


def said(name: str, kinds: Sequence[Kind], values: Sequence[int], at: int) -> str:
    """Return what we say of an argument; empty: a number, or what is told otherwise."""
    word = words.word(name, "x86_64", at, values[at]) or words.after(name, "x86_64", at, values)
    return word if word or kinds[at] not in _OTHERWISE else ""


def test_constants_have_the_names_that_strace_gives_them(program: Callable[[str], Path], tmp_path: Path) -> None:
    """Flags in any order; what strace gives a name to has one here."""
    plain = lines(program("spoken"), tmp_path / "plain")
    raw = lines(program("spoken"), tmp_path / "raw", "-e", "raw=all")
    compared, wrong = 0, []
    for (name, theirs), (_, numbers) in zip(plain, raw, strict=True):
        values = [int(number, 16) for number in numbers] + [0] * 6
        kinds = arguments.kinds(name, "x86_64")
        for at, text in enumerate(_COMMENT.sub("", word) for word in theirs[: len(kinds)]):
            ours, names_it = said(name, kinds, values, at), re.match(r"[A-Z_]{2,}", text)
            if kinds[at] in _OTHERWISE and not ours:
                continue
            if name.startswith("futex") and at == 4:
                continue  # strace leaves out what the operation does not take
            compared += bool(names_it)
            if (ours or names_it) and set(ours.split("|")) != set(_BOTH.get(text, text).split("|")):
                wrong.append((name, at, ours, text))

    assert wrong == []
    assert compared > 100

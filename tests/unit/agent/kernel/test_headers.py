"""What Python reads of the C headers that both sides share."""

import struct

import pytest

from kubestrace_agent.kernel.maps.headers import Header, HeaderError, header

TEXT = """
/* struct hidden { u32 in_a_comment; }; */
#pragma once
#define ROOM 4
#define BIT (1ULL << 63)
#define MODE 0010000
#define BOTH (ROOM * 2 - 1)
#define FLAGS (FIRST | THIRD)
enum kind { NOTHING, SOMETHING, FIRST = 1 << 4, SECOND, THIRD = 0x40 };

struct inner {
  u8 small;
  u64 large[2]; /* bytes */
};

struct outer {
  u32 flags;
  char name[ROOM];
  u16 pair[2][3];
  struct inner parts[2];
#ifdef MORE
  s32 last;
#endif
};
"""


@pytest.fixture
def sample() -> Header:
    """A header with everything that is understood."""
    made = Header("sample.h")
    made.add(TEXT)
    return made


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ROOM", 4), ("BIT", 1 << 63), ("MODE", 0o10000), ("BOTH", 7), ("FLAGS", 0x50), ("NOTHING", 0),
        ("SOMETHING", 1), ("FIRST", 16), ("SECOND", 17), ("THIRD", 64),
    ],
)  # fmt: skip
def test_numbers(sample: Header, name: str, value: int) -> None:
    """Of #define and of enum, with what C allows in them."""
    assert sample.number(name) == value


def test_members_are_aligned_as_the_compiler_does_it(sample: Header) -> None:
    """To their size; a struct to that of its largest member, and its end too."""
    layout = sample.struct("outer")

    assert [layout.offset(name) for name in ("flags", "name", "pair", "parts", "last")] == [0, 4, 8, 24, 72]
    assert (layout.size, sample.struct("inner").size) == (80, 24)
    assert [layout.offset(path) for path in ("pair[1]", "pair[1][2]", "parts[1].large[1]")] == [14, 18, 64]
    assert (layout.at("flags"), layout.at("parts[1].large[1]"), layout.at("pair[1]")) == (0, 8, 7)


def test_fields_are_read_in_the_order_of_the_struct(sample: Header) -> None:
    """An array of bytes is one value, a struct all of its fields; what is not named is skipped."""
    layout = sample.struct("outer")
    raw = struct.pack("=I4s6H4xB7x2QB7x2Qi4x", 7, b"abcd", *range(6), 1, 2, 3, 4, 5, 6, -9)

    assert len(raw) == layout.size
    assert layout.fields("name", "pair[1]", "parts[0]", "last").unpack(raw) == (b"abcd", 3, 4, 5, 1, 2, 3, -9)
    assert layout.whole().unpack(raw) == (7, b"abcd", *range(6), 1, 2, 3, 4, 5, 6, -9)
    assert layout.fields("flags", size=8).unpack(raw[:8]) == (7,)
    assert layout.fields("flags").pack(3) == (3).to_bytes(layout.size, "little")


@pytest.mark.parametrize(
    "ask",
    [
        lambda sample: sample.number("ABSENT"),
        lambda sample: sample.struct("absent"),
        lambda sample: sample.struct("hidden"),
        lambda sample: sample.struct("outer").offset("absent"),
        lambda sample: sample.struct("outer").offset("flags.more"),
        lambda sample: sample.struct("outer").fields("name", "flags"),
    ],
)
def test_what_is_not_there_is_said(sample: Header, ask) -> None:  # type: ignore[no-untyped-def]
    """Also fields that are named in another order than they stand in."""
    with pytest.raises(HeaderError):
        ask(sample)


@pytest.mark.parametrize("text", ["struct odd {\n  void *pointer;\n};", "#define odd sizeof(int)\n"])
def test_what_is_not_understood_is_an_error(text: str) -> None:
    """Never a wrong number."""
    made = Header("odd.h")
    made.add(text)

    with pytest.raises(HeaderError, match=r"odd\.h"):
        made.struct("odd") if "struct" in text else made.number("odd")


def test_a_header_has_what_it_includes() -> None:
    """As the compiler sees it."""
    assert (
        header("views/slow_calls/slow_calls.h").struct("slow_call").offset("bytes")
        == header("kernel/bpf/calls.h").struct("call").size
    )

"""Offsets from type information: a small one made here, damaged ones, and the running kernel's."""

import contextlib
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubestrace_agent.kernel.loader.btf import VMLINUX, Btf, BtfError

STRINGS = b"\0int\0inner\0value\0outer\0hidden\0flag\0alias\0event\0number\0"


def at(word: str) -> int:
    """Where a string stands."""
    return STRINGS.index(b"\0" + word.encode() + b"\0") + 1


def type_words(name: str, kind: int, vlen: int, size_or_type: int, *tail: int, flag: int = 0) -> bytes:
    """One type."""
    info = flag << 31 | kind << 24 | vlen
    return struct.pack(f"<{3 + len(tail)}I", at(name) if name else 0, info, size_or_type, *tail)


def blob(types: bytes, strings: bytes = STRINGS) -> bytes:
    """A whole BTF file."""
    return struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(strings)) + types + strings


TYPES = b"".join(
    [
        type_words("int", 1, 0, 4, 32),  # 1
        type_words("inner", 4, 1, 8, at("value"), 1, 32),  # 2: struct inner { int; int value; }
        type_words("alias", 8, 0, 2),  # 3: typedef struct inner alias
        type_words("", 5, 1, 4, at("hidden"), 1, 0),  # 4: union { int hidden; }
        type_words("outer", 4, 3, 32, at("inner"), 3, 64, 0, 4, 128, at("flag"), 1, 3 << 24 | 165, flag=1),  # 5
        type_words("", 13, 2, 0, 0, 7, 0, 1),  # 6: void (void *, int)
        type_words("", 2, 0, 6),  # 7: a pointer to that
        type_words("event", 8, 0, 7),  # 8: typedef void (*event)(void *, int)
        type_words("number", 8, 0, 1),  # 9: typedef int number
        type_words("outer", 12, 0, 6),  # 10: a function of the name of a struct
    ]
)


@pytest.mark.parametrize(("path", "offset"), [("inner.value", 4), ("outer.inner.value", 12), ("outer.hidden", 16)])
def test_a_field_is_found(path: str, offset: int) -> None:
    """Through a typedef, and in a nameless union."""
    assert Btf(blob(TYPES)).offset(path) == offset


@pytest.mark.parametrize("path", ["nothing.value", "inner.nothing", "outer.flag", "int.value"])
def test_what_is_not_there_is_said(path: str) -> None:
    """A missing struct, a missing field, a bit field, something that is no struct."""
    with pytest.raises(BtfError):
        Btf(blob(TYPES)).offset(path)


def test_a_type_of_functions_has_parameters() -> None:
    """As the kernel's tracepoints have them; anything else that has the name, or nothing, has none."""
    assert Btf(blob(TYPES)).parameters("event") == 2
    for name in ("number", "nothing", "inner"):
        with pytest.raises(BtfError):
            Btf(blob(TYPES)).parameters(name)


def test_functions_and_structs_have_ids() -> None:
    """Each its own, also where one has the other's name; what is neither has none."""
    types = Btf(blob(TYPES))

    assert (types.function("outer"), types.struct_id("outer"), types.struct_id("inner")) == (10, 5, 2)
    for missing in ("inner", "nothing"):
        with pytest.raises(BtfError, match=f"no function {missing}"):
            types.function(missing)
    with pytest.raises(BtfError, match="no struct number"):
        types.struct_id("number")


def test_a_modules_types_go_on_where_the_kernels_end(tmp_path: Path) -> None:
    """Its numbers and its names are counted on; it may have the kernel's types in its own."""
    kernel = Btf(blob(TYPES))
    # struct own { int; struct inner value; }, whose own name is the module's.
    own = struct.pack("<9I", len(STRINGS) + 1, 4 << 24 | 2, 16, 0, 1, 0, at("inner"), 2, 64)
    (tmp_path / "module").write_bytes(blob(own, b"\0own\0"))

    both = kernel.with_module("module", tmp_path)

    assert both.offset("own.inner.value") == 12
    assert both.offset("outer.hidden") == 16
    assert not kernel.names("own")
    with pytest.raises(OSError, match="nothing"):
        kernel.with_module("nothing", tmp_path)


@given(st.data())
def test_damaged_input_is_refused_and_never_read_past_its_end(data: st.DataObject) -> None:
    """Any byte changed or cut off: an offset or a BtfError."""
    whole = bytearray(blob(TYPES))
    whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(whole[: data.draw(st.integers(0, len(whole)))])

    with contextlib.suppress(BtfError):
        assert Btf(cut).offset("outer.inner.value") >= 0


@pytest.mark.parametrize("data", [b"", b"\x7fELF" + bytes(60), blob(TYPES)[:-1], blob(TYPES + b"\0\0\0\0")])
def test_what_is_no_btf_is_refused(data: bytes) -> None:
    """Empty, something else, cut short, too long."""
    with pytest.raises(BtfError):
        Btf(data)


def test_a_kernel_without_it_is_an_os_error(tmp_path: Path) -> None:
    """The caller says what to do about it."""
    with pytest.raises(OSError, match="vmlinux"):
        Btf.of_kernel(tmp_path / VMLINUX.name)

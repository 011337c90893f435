"""What a fuzzer is: where bytes come from, what reads them, and how long that may take.

A target fails by an exception that the parser does not promise, by a wrong answer, or by taking long. Tests run a few
examples of each (tests/unit/fuzz), `tests/fuzz/run` as many as there is time for.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf import descriptor, message, message_factory
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

# No measure of speed: of one example, on a machine that does much else; what never ends takes longer.
MOST_CPU_SECONDS = 20.0


@dataclass(frozen=True)
class Target:
    """A parser, and what it is given."""

    name: str
    given: SearchStrategy[Any]
    read: Callable[[Any], object]


def run(target: Target, examples: int, number: int | None = None) -> None:
    """Try so many examples; `number` chooses others. Raises what the parser raised for the smallest that was found."""

    def once(example: Any) -> None:
        begun = time.thread_time()
        target.read(example)
        spent = time.thread_time() - begun
        assert spent < MOST_CPU_SECONDS, f"{target.name} took {spent:.1f} s"

    test = given(target.given)(once)
    test = settings(max_examples=examples, deadline=None, database=None, derandomize=number is None)(test)
    (test if number is None else seed(number)(test))()


def spoiled(good: bytes, most: int = 24) -> SearchStrategy[bytes]:
    """Return good bytes with some of them changed, and maybe cut."""
    words = st.one_of(
        st.integers(0, 255).map(lambda number: bytes([number])),
        st.sampled_from([0, 1, 2**31 - 1, 2**31, 2**32 - 1]).map(lambda number: number.to_bytes(4, "little")),
        st.sampled_from([0, 1, 2**63 - 1, 2**63, 2**64 - 1]).map(lambda number: number.to_bytes(8, "little")),
        st.binary(min_size=1, max_size=16),
    )
    # Headers are at the beginning.
    places = st.one_of(st.integers(0, 127), st.integers(0, max(0, len(good) - 1)))
    changes = st.lists(st.tuples(places, words), max_size=most)
    return st.builds(_changed, st.just(good), changes, st.one_of(st.just(len(good)), st.integers(0, len(good))))


def _changed(good: bytes, changes: list[tuple[int, bytes]], end: int) -> bytes:
    data = bytearray(good)
    for at, word in changes:
        data[at : at + len(word)] = word
    return bytes(data[:end])


# Words that parsers look for, among bytes of any kind.
WORDS = (
    *(b"/", b"..", b"/proc/self/fd/3", b" (deleted)", b"\0", b"\n", b":", b"=", b"*", b"\x1b[2J", b"0x", b"password="),
    *(b"\xff\xfe", b"a" * 300, b"%s%n", "\u202e".encode(), b"{", b'"', b"\\"),
)


def texts(most: int = 12) -> SearchStrategy[bytes]:
    """Return bytes as a container may choose them for a name, a path or a file."""
    parts = st.one_of(st.sampled_from(WORDS), st.binary(max_size=12))
    return st.lists(parts, max_size=most).map(b"".join)


_NUMBERS = {
    **dict.fromkeys(("CPPTYPE_INT32", "CPPTYPE_ENUM"), (-(2**31), 2**31 - 1)),
    "CPPTYPE_INT64": (-(2**63), 2**63 - 1),
    "CPPTYPE_UINT32": (0, 2**32 - 1),
    "CPPTYPE_UINT64": (0, 2**64 - 1),
}
_KINDS = {getattr(descriptor.FieldDescriptor, name): bounds for name, bounds in _NUMBERS.items()}


def messages(
    kind: type[message.Message], special: dict[str, SearchStrategy[Any]], depth: int = 5
) -> SearchStrategy[message.Message]:
    """Return messages of a kind with any of their fields; `special` gives those of a full name otherwise."""
    fields = {
        field.name: special[field.full_name] if field.full_name in special else _values(field, special, depth)
        for field in kind.DESCRIPTOR.fields
    }
    if depth == 0:
        fields = {
            name: value for name, value in fields.items() if not kind.DESCRIPTOR.fields_by_name[name].message_type
        }
    return st.fixed_dictionaries({}, optional=fields).map(lambda given: kind(**given))


def _values(
    field: descriptor.FieldDescriptor, special: dict[str, SearchStrategy[Any]], depth: int
) -> SearchStrategy[Any]:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        of = field.message_type.fields_by_name
        return st.dictionaries(_one(of["key"], special, depth), _one(of["value"], special, depth), max_size=3)
    one = _one(field, special, depth)
    return st.lists(one, max_size=3) if field.is_repeated else one


def _one(field: descriptor.FieldDescriptor, special: dict[str, SearchStrategy[Any]], depth: int) -> SearchStrategy[Any]:
    if field.message_type is not None:
        of = message_factory.GetMessageClass(field.message_type)
        return st.deferred(lambda: messages(of, special, max(0, depth - 1)))
    if field.cpp_type == field.CPPTYPE_STRING:
        return st.binary(max_size=20) if field.type == field.TYPE_BYTES else WORDS_OF_TEXT
    if field.cpp_type == field.CPPTYPE_BOOL:
        return st.booleans()
    if field.cpp_type in _KINDS:
        low, high = _KINDS[field.cpp_type]
        return st.one_of(st.integers(max(low, 0), 40), st.integers(low, high))
    return st.floats()


WORDS_OF_TEXT = st.one_of(
    st.sampled_from(
        ("", "read", "openat", "x86_64", "ENOENT", "app", "10.0.0.1", "\x1b[2J", "a\nb", "x" * 5000, "\u202e")
    ),
    st.text(max_size=20),
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), WORDS_OF_TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(WORDS_OF_TEXT, inner, max_size=4)),
    max_leaves=12,
)


def like(schema: dict[str, Any]) -> SearchStrategy[Any]:
    """Return JSON near an OpenAPI schema: mostly of its form, now and then of another."""
    return st.integers(0, 15).flatmap(lambda number: JSON if number == 0 else _of_form(schema))


def _of_form(schema: dict[str, Any]) -> SearchStrategy[Any]:
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema.get("type"):
        case "object":
            fields = {name: like(each) for name, each in schema.get("properties", {}).items()}
            return st.fixed_dictionaries({}, optional=fields)
        case "array":
            return st.lists(like(schema["items"]), max_size=3)
        case "integer":
            low, high = schema.get("minimum", 0), schema.get("maximum", 2**31)
            return st.one_of(st.integers(low, high), st.integers())
        case "boolean":
            return st.booleans()
        case _:
            return WORDS_OF_TEXT

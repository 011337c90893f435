"""YAML as the API server takes it: only what JSON has, each key once. Used by sessions."""

import json
from collections.abc import Hashable, Iterator
from typing import Any

import yaml

# What the API server takes as one request.
MOST_BYTES = 3 << 20
TOO_LARGE = f"is larger than {MOST_BYTES >> 20} MiB"


class DocumentError(ValueError):
    """This is not a YAML document; the message says why, after the file's name."""


def read(text: str) -> list[Any]:
    """Return the documents of a file that are not empty, with nothing in them that JSON does not have."""
    try:
        return [_plain(each) for each in yaml.load_all(text, _Loader) if each is not None]
    except yaml.YAMLError as error:
        raise DocumentError(f"is not valid YAML: {_reason(error)}") from error
    except RecursionError as error:
        raise DocumentError("has too many nested lists and mappings") from error


def _reason(error: yaml.YAMLError) -> str:
    """Return what is wrong and where, without the excerpt and the caret that PyYAML adds."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem and error.problem_mark:
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"
    return " ".join(str(error).split())


class _Loader(yaml.SafeLoader):
    """Refuses duplicate keys and values that do not fit their tag, and leaves dates as they are."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        # Here and not where values are made: there merged keys (<<) are among its own.
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and (key.tag, key.value) in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} is given twice", key.start_mark
                )
            seen.add((key.tag, key.value) if isinstance(key, yaml.ScalarNode) else id(key))
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Hashable:
        try:
            made: Hashable = super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError, TypeError) as error:  # as PyYAML lets through what it finds
            raise yaml.constructor.ConstructorError(
                None, None, f"{str(node.value)[:100]!r} is not a valid {node.tag.rpartition(':')[2]}", node.start_mark
            ) from error
        return made


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _plain(document: object) -> Any:
    """Return it as it comes back from JSON: keys are strings, and no part is shared."""
    try:
        return json.loads("".join(_bounded(json.JSONEncoder(allow_nan=False).iterencode(document))))
    except DocumentError:
        raise
    except (TypeError, ValueError) as error:
        raise DocumentError(f"holds what JSON does not have: {error}") from error


def _bounded(parts: Iterator[str]) -> Iterator[str]:
    """Yield them while they are few: a short YAML may name one part thousands of times."""
    size = 0
    for part in parts:
        size += len(part)
        if size > MOST_BYTES:
            raise DocumentError(TOO_LARGE)
        yield part

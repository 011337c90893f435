"""YAML as the API server takes it: what is JSON written another way, each key once. Used by sessions."""

import json
from collections.abc import Hashable, Iterator
from typing import Any

import yaml

# What the API server takes as one request.
_MOST_BYTES = 3 << 20


class DocumentError(ValueError):
    """This is none; the message says why, behind the file's name."""


def read(text: str) -> list[Any]:
    """Return the documents of a file that are not empty, with nothing in them that JSON has not."""
    try:
        return [_plain(each) for each in yaml.load_all(text, _Loader) if each is not None]
    except yaml.YAMLError as error:
        raise DocumentError(f"is no YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise DocumentError("has too many lists and mappings in each other") from error


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice, tells values that their tag does not take, and leaves dates as they stand."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        # Here and not where values are made: there merged keys (<<) stand among its own.
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and (key.tag, key.value) in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands twice", key.start_mark
                )
            seen.add((key.tag, key.value) if isinstance(key, yaml.ScalarNode) else id(key))
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Hashable:
        try:
            made: Hashable = super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError, TypeError) as error:  # as PyYAML lets through what it finds
            raise yaml.constructor.ConstructorError(
                None, None, f"{str(node.value)[:100]!r} is no {node.tag.rpartition(':')[2]}", node.start_mark
            ) from error
        return made


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _plain(document: object) -> Any:
    """Return it as it comes back from JSON: keys are strings, and no part stands in two places."""
    try:
        return json.loads("".join(_bounded(json.JSONEncoder(allow_nan=False).iterencode(document))))
    except DocumentError:
        raise
    except (TypeError, ValueError) as error:
        raise DocumentError(f"holds what JSON has not: {error}") from error


def _bounded(parts: Iterator[str]) -> Iterator[str]:
    """Yield them while they are few: a short YAML may name one part thousands of times."""
    size = 0
    for part in parts:
        size += len(part)
        if size > _MOST_BYTES:
            raise DocumentError(f"is larger than {_MOST_BYTES >> 20} MiB")
        yield part

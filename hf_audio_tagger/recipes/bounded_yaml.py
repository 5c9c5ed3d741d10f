"""Limits for YAML and JSON from untrusted files.

Aliases count with their expanded size: a few bytes of nested aliases can expand to gigabytes when they are
read, merged into a mapping or shown in an error.
"""

from typing import Any

import yaml

MAX_BYTES = 1 << 19  # ten times the size of Data-Juicer's recipe of all operators
MAX_NODES = 10_000  # keys, values, lists and mappings, aliases expanded
MAX_CHARACTERS = 1 << 20
MAX_DEPTH = 50


class BoundedLoader(yaml.SafeLoader):
    """Builds plain values only, and raises `ValueError` at the limits above."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.nodes = self.characters = self.depth = 0
        self.sizes: dict[yaml.Node, tuple[int, int]] = {}  # of complete nodes, for their aliases

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        is_alias = self.check_event(yaml.AliasEvent)
        nodes, characters = self.nodes, self.characters
        self.depth += 1
        check_limit("levels", self.depth, MAX_DEPTH)
        node = super().compose_node(parent, index)
        self.depth -= 1
        assert node is not None  # this event starts a node
        if not is_alias:
            self.nodes += 1
            self.characters += len(node.value) if isinstance(node, yaml.ScalarNode) else 0
            self.sizes[node] = self.nodes - nodes, self.characters - characters
        elif node in self.sizes:
            self.nodes += self.sizes[node][0]
            self.characters += self.sizes[node][1]
        else:
            raise ValueError("an alias refers to a value that contains it")
        check_limit("values", self.nodes, MAX_NODES)
        check_limit("characters", self.characters, MAX_CHARACTERS)
        return node


def check_limit(what: str, number: int, limit: int) -> None:
    if number > limit:
        raise ValueError(f"it has more than {limit:,} {what}, aliases expanded")


def check_depth(value: Any, depth: int = 0) -> None:
    """The limit for JSON, which has no aliases; its nodes and characters are limited by the file's bytes."""
    check_limit("levels", depth, MAX_DEPTH)
    if isinstance(value, dict | list):
        for child in value.values() if isinstance(value, dict) else value:
            check_depth(child, depth + 1)

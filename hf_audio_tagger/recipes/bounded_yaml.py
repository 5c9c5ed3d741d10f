"""YAML and JSON from untrusted files, parsed within limits.

An alias counts as all that it stands for: a few bytes of nested aliases can expand to gigabytes when they are
read, merged into a mapping or shown in an error.
"""

import json
from itertools import count
from typing import Any

import yaml

MAX_BYTES = 1 << 19  # Data-Juicer's own recipe of all operators has a tenth of it
MAX_NODES = 10_000  # keys, values, lists and mappings, aliases expanded
MAX_CHARACTERS = 1 << 20
MAX_DEPTH = 50


class BoundedLoader(yaml.SafeLoader):
    """Builds plain values only, and stops at the limits above."""

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
        if node is None:
            return None
        if is_alias:
            if node not in self.sizes:
                raise ValueError("an alias refers to a value that contains it")
            more_nodes, more_characters = self.sizes[node]
        else:
            more_nodes, more_characters = 1, len(node.value) if isinstance(node, yaml.ScalarNode) else 0
        self.nodes += more_nodes
        self.characters += more_characters
        check_limit("values", self.nodes, MAX_NODES)
        check_limit("characters", self.characters, MAX_CHARACTERS)
        if not is_alias:
            self.sizes[node] = self.nodes - nodes, self.characters - characters
        return node


def check_limit(what: str, number: int, limit: int) -> None:
    if number > limit:
        raise ValueError(f"it has more than {limit:,} {what}, aliases expanded")


def parse_yaml(text: str) -> Any:
    """A YAML document as plain values. `ValueError` or `yaml.YAMLError` where it is invalid or too large."""
    loader = BoundedLoader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def parse_json(text: str) -> Any:
    """A JSON document. `ValueError` where it is invalid or too deep."""
    value = json.loads(text)
    level = [value]
    for depth in count():
        check_limit("levels", depth, MAX_DEPTH)
        level = [child for parent in level for child in list_children(parent)]
        if not level:
            break
    return value


def list_children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []

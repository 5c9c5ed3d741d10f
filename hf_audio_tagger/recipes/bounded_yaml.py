"""YAML and JSON from anywhere, parsed within bounds: a few bytes of either can stand for gigabytes.

An alias counts as all that it stands for, so that aliases of aliases cannot grow without notice, be they
read, merged into a mapping or shown in an error.
"""

import json
from typing import Any

import yaml

MOST_BYTES = 1 << 19  # of text; Data-Juicer's own recipe of all operators has a tenth
MOST_NODES = 10_000  # keys, values, lists and mappings, aliases written out
MOST_CHARACTERS = 1 << 20  # in them
MOST_DEPTH = 50


class BoundedLoader(yaml.SafeLoader):
    """Builds plain values alone, and stops where there is more than a recipe can want."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.nodes = self.characters = self.depth = 0
        self.sizes: dict[yaml.Node, tuple[int, int]] = {}  # of what is complete, by which aliases count

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        is_alias = self.check_event(yaml.AliasEvent)
        nodes, characters = self.nodes, self.characters
        self.depth += 1
        check("levels", self.depth, MOST_DEPTH)
        node = super().compose_node(parent, index)
        self.depth -= 1
        if node is None:
            return None
        if is_alias:
            if node not in self.sizes:
                raise ValueError("an alias stands in what it stands for")
            more_nodes, more_characters = self.sizes[node]
        else:
            more_nodes, more_characters = 1, len(node.value) if isinstance(node, yaml.ScalarNode) else 0
        self.nodes += more_nodes
        self.characters += more_characters
        check("values", self.nodes, MOST_NODES)
        check("characters", self.characters, MOST_CHARACTERS)
        if not is_alias:
            self.sizes[node] = self.nodes - nodes, self.characters - characters
        return node


def check(what: str, count: int, most: int) -> None:
    if count > most:
        raise ValueError(f"it has more than {most:,} {what}, aliases written out")


def parse_yaml(text: str) -> Any:
    """A YAML document as plain values; `ValueError` or `yaml.YAMLError` where it is none, or too large."""
    loader = BoundedLoader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def parse_json(text: str) -> Any:
    """A JSON document; `ValueError` where it is none, or too deep."""
    value = json.loads(text)
    level = [value]
    for depth in range(1, MOST_DEPTH + 2):
        level = [part for one in level for part in parts_of(one)]
        if not level:
            return value
        check("levels", depth, MOST_DEPTH)
    return value


def parts_of(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []

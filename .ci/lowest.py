"""Print the lowest versions that setup.cfg allows, as constraints for pip: python .ci/lowest.py [EXTRA...]"""

import re
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

SETUP = Path(__file__).parents[1] / "setup.cfg"
REQUIREMENT = re.compile(r"([A-Za-z0-9_.-]+)(?:\[[^]]*\])?\s*(.*)")


def find_lowest(requirements: str) -> Iterator[str]:
    """`name==version` for each requirement that has a lower bound."""
    for line in requirements.splitlines():
        if line and not line.startswith("#"):
            match = REQUIREMENT.match(line)
            assert match, line
            name, rest = match.groups()
            bounds, _, marker = rest.partition(";")
            if lower := re.search(r">=\s*([0-9.]+)", bounds):
                version = lower[1] if "." in lower[1] else f"{lower[1]}.0"
                yield f"{name}=={version}" + (f"; {marker.strip()}" if marker else "")


def main() -> None:
    setup = ConfigParser()
    setup.read(SETUP)
    print(*find_lowest(setup["options"]["install_requires"]), sep="\n")
    for extra in sys.argv[1:]:
        print(*find_lowest(setup["options.extras_require"][extra]), sep="\n")


if __name__ == "__main__":
    main()

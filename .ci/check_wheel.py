"""Check that a wheel has every file of the package and nothing else: python .ci/check_wheel.py WHEEL"""

import sys
import zipfile
from pathlib import Path

PACKAGE = "hf_audio_tagger"
NEEDED = (
    "py.typed",
    "audioset/ontology.tsv",
    "demo/checkpoint/config.json",
    "demo/checkpoint/preprocessor_config.json",
    "demo/checkpoint/model.safetensors",
    "models/packaged/yamnet-int8.safetensors",
    "models/packaged/NOTICE",
    "models/packaged/LICENSE",
)


def find_source_files(root: Path) -> set[str]:
    return {
        str(path.relative_to(root))
        for path in (root / PACKAGE).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def check(names: set[str], source: set[str]) -> list[str]:
    """What is wrong with a wheel that holds files of these names."""
    files = {name for name in names if not name.split("/")[0].endswith(".dist-info")}
    missing = source | {f"{PACKAGE}/{name}" for name in NEEDED}
    return [
        *(f"{name} is missing from the wheel: see options.package_data" for name in sorted(missing - files)),
        *(f"{name} does not belong in the wheel" for name in sorted(files - source)),
    ]


def main() -> None:
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        problems = check(set(wheel.namelist()), find_source_files(Path(__file__).parents[1]))
        if problems:
            sys.exit("\n".join(problems))
        print(f"{Path(sys.argv[1]).name}: {len(wheel.namelist())} files, as they should be.")


if __name__ == "__main__":
    main()

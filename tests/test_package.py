"""What surrounds the modules: packaging, the checks of a wheel, hooks, workflows, and how pytest is run."""

import ast
import configparser
import fnmatch
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

import hf_audio_tagger

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "hf_audio_tagger"


@pytest.fixture(scope="module")
def setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def load_script(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# What is in the wheel


def test_every_data_file_is_packaged(setup: configparser.ConfigParser) -> None:
    patterns = setup["options.package_data"]["hf_audio_tagger"].split()
    data = [
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts
    ]
    assert "py.typed" in data
    missing = [name for name in data if not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]
    assert not missing, f"Name them in setup.cfg's options.package_data: {missing}"
    unused = [pattern for pattern in patterns if not fnmatch.filter(data, pattern)]
    assert not unused, f"setup.cfg's options.package_data names files that are not there: {unused}"


def test_every_folder_with_modules_is_a_package() -> None:
    """`packages = find:` takes no folder without an `__init__.py`."""
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    assert not [str(folder) for folder in folders if not (folder / "__init__.py").is_file()]


def test_a_wheel_is_checked_in_both_directions() -> None:
    check_wheel = load_script(ROOT / ".ci" / "check_wheel.py")
    source = check_wheel.find_source_files(ROOT)
    wheel = source | {"hf_audio_tagger-0.1.0.dist-info/METADATA"}
    assert check_wheel.check(wheel, source) == []
    (missing,) = check_wheel.check(wheel - {"hf_audio_tagger/py.typed"}, source)
    assert missing.startswith("hf_audio_tagger/py.typed is missing")
    (unwanted,) = check_wheel.check(wheel | {"tests/test_package.py"}, source)
    assert unwanted == "tests/test_package.py does not belong in the wheel"


# CONTRIBUTING.md


def test_contributing_names_what_exists() -> None:
    """Lists that additions go to, and the files that hold them."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    lists = re.findall(r"`(\w+)` in `([\w/]+\.py)`", text)
    assert len(lists) > 8
    for name, file in lists:
        path = next((folder / file for folder in (PACKAGE, ROOT) if (folder / file).is_file()), None)
        assert path is not None, f"{file} is not there"
        assert re.search(rf"^\s*(?:def |class )?{name}\b", path.read_text("utf-8"), re.MULTILINE), (
            f"{file} has no {name}"
        )
    for file, name in re.findall(r"`([\w/]+\.py)`'s `(\w+)`", text):
        assert f"class {name}" in (PACKAGE / file).read_text("utf-8"), f"{file} has no class {name}"


# One version, one list of Python versions


def test_the_changelog_knows_the_version() -> None:
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert headings[0] == "Unreleased" or headings[0] == hf_audio_tagger.__version__
    assert hf_audio_tagger.__version__ in headings or headings[0] == "Unreleased"


def python_versions(setup: configparser.ConfigParser) -> list[str]:
    return re.findall(r"Python :: (3\.\d+)", setup["metadata"]["classifiers"])


def test_the_workflow_runs_every_python_version(setup: configparser.ConfigParser) -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text("utf-8"))
    assert workflow[True]  # YAML 1.1 reads the key `on` as a boolean
    matrix = workflow["jobs"]["test"]["strategy"]["matrix"]
    assert matrix["python"] == python_versions(setup)
    assert {"ubuntu-latest", "macos-latest"} <= set(matrix["os"])
    assert set(matrix["dependencies"]) == {"lowest", "newest"}
    for job in workflow["jobs"].values():
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)


def test_the_hooks_are_those_of_ci() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    (repository,) = hooks["repos"]
    assert repository["repo"] == "local"
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    for hook in repository["hooks"]:
        assert hook["language"] == "system"
        command = hook["entry"].removesuffix(" --force-exclude").split(" --")[0]
        assert re.search(rf"^{re.escape(command)}", script, re.MULTILINE), command


# Lowest versions


def test_lowest_versions_come_from_setup_cfg(setup: configparser.ConfigParser) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / ".ci" / "lowest.py"), "test"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    lowest = dict(line.split("==", 1) for line in done.stdout.splitlines())
    assert lowest["datasets"] == "5.0"
    assert lowest["decord"].startswith("0.6; ")
    assert "pytest" in lowest
    for line in setup["options"]["install_requires"].split("\n"):
        assert not line or line.startswith("#") or ">=" in line, f"{line} has no lower bound"


# Dependencies


def test_what_is_imported_is_required(setup: configparser.ConfigParser) -> None:
    modules = {
        name.split(".")[0]
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        for name in imported_names(node)
    }
    # data_juicer is imported in an environment of its own alone.
    libraries = modules - set(sys.stdlib_module_names) - {"hf_audio_tagger", "data_juicer"}
    extras = " ".join(setup["options.extras_require"].values())
    required = {
        re.split(r"[^A-Za-z0-9_-]", line)[0].lower().replace("-", "_")
        for line in (setup["options"]["install_requires"] + extras).splitlines()
    }
    assert not {MODULES_OF_LIBRARIES.get(name, name) for name in libraries} - required


MODULES_OF_LIBRARIES = {"yaml": "pyyaml", "cv2": "opencv_python_headless"}


def imported_names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []


# How pytest is run

PLAIN_TEST = """
import os

def test_worker():
    print("worker", os.environ.get("PYTEST_XDIST_WORKER"))
    assert not os.environ.get("FAIL")
"""


@pytest.fixture(scope="module")
def small_suite(tmp_path_factory: pytest.TempPathFactory, setup: configparser.ConfigParser) -> Path:
    """Two files of tests under the project's own settings of pytest and its hook."""
    folder = tmp_path_factory.mktemp("suite")
    own = configparser.RawConfigParser()
    own["tool:pytest"] = dict(setup["tool:pytest"])
    with open(folder / "setup.cfg", "w") as file:
        own.write(file)
    (folder / "tests").mkdir()
    for name in ("test_a.py", "test_b.py"):
        (folder / "tests" / name).write_text(PLAIN_TEST)
    (folder / "tests" / "conftest.py").write_text(
        "import importlib.util\n"
        f"spec = importlib.util.spec_from_file_location('shared', {str(ROOT / 'tests' / 'conftest.py')!r})\n"
        "shared = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(shared)\n"
        "pytest_xdist_auto_num_workers = shared.pytest_xdist_auto_num_workers\n"
    )
    return folder


@pytest.mark.parametrize(
    ("arguments", "is_parallel"),
    [
        ([], True),
        pytest.param(["tests/test_a.py", "tests/test_b.py"], True, marks=pytest.mark.campaign),
        (["tests/test_a.py"], False),
        pytest.param(["tests/test_a.py::test_worker"], False, marks=pytest.mark.campaign),
        (["-s"], False),
        pytest.param(["--pdb"], False, marks=pytest.mark.campaign),
        (["tests/test_a.py", "-n", "2"], True),
    ],
)
def test_pytest_is_parallel_except_for_one_file_or_a_debugger(
    small_suite: Path, arguments: list[str], is_parallel: bool
) -> None:
    environment: dict[str, Any] = {**os.environ, "PYTEST_XDIST_AUTO_NUM_WORKERS": "2", "PYTEST_ADDOPTS": ""}
    environment = {name: value for name, value in environment.items() if name != "PYTEST_XDIST_WORKER"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rP", "-p", "no:cacheprovider", *arguments],
        cwd=small_suite,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    workers = set(re.findall(r"worker (\w+)", done.stdout))
    assert workers
    assert ("None" not in workers) == is_parallel

"""Private names of other libraries: each one runs against the library that is installed."""

import ast
import multiprocessing
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import datasets
import dill
import fsspec
import pytest
from datasets import Dataset, Features, IterableDataset, List, Value, Video
from datasets.distributed import split_dataset_by_node
from datasets.fingerprint import Hasher
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from sound_files import needs_torchcodec

import hf_audio_tagger
from hf_audio_tagger.compat import datasets_calls, datasets_internals, other_libraries

PACKAGE = Path(hf_audio_tagger.__file__).parent
SETUP = PACKAGE.parent / "setup.cfg"


@contextmanager
def works_with(library: str) -> Iterator[None]:
    """A failure in the block names the library and its version."""
    try:
        yield
    except Exception as error:
        raise AssertionError(
            f"{library} {metadata.version(library)} changed a private name that {PACKAGE.name}/compat uses: "
            f"{type(error).__name__}: {error}"
        ) from error


# datasets


@dataclass(frozen=True)
class Point(datasets_calls.Fingerprinted):
    x: int
    y: int

    def hash_key(self) -> tuple[int]:
        return (self.x,)


def test_hash_key() -> None:
    with works_with("datasets"):
        assert Hasher.hash(Point(1, 2)) == Hasher.hash(Point(1, 3)) != Hasher.hash(Point(2, 2))
        assert Hasher.hash([Point(1, 2)]) == Hasher.hash([Point(1, 3)])
    for library in (pickle, dill):
        assert library.loads(library.dumps(Point(1, 2))) == Point(1, 2)


def test_fingerprint() -> None:
    ds = Dataset.from_dict({"a": [1, 2]})
    with works_with("datasets"):
        assert datasets_internals.get_fingerprint(ds)
        assert datasets_internals.get_fingerprint(ds) != datasets_internals.get_fingerprint(ds.select([1]))


def handed_over(**options: Any) -> Any:
    """What `map` hands to its function."""
    seen = []
    ds = Dataset.from_dict({"a": ["x.mp4", "y.mp4"], "b": [1, 2]}).cast_column("a", Video())
    ds.map(lambda rows: seen.append(rows), **options)
    return seen[0]


def test_lazy_rows() -> None:
    with works_with("datasets"):
        row, batch = handed_over(), handed_over(batched=True)
        assert datasets_internals.is_lazy_row(row)
        assert not datasets_internals.is_lazy_batch(row)
        assert datasets_internals.is_lazy_batch(batch)
        assert not datasets_internals.is_lazy_row(batch)
        assert not datasets_internals.is_lazy_row({"a": 1})


def test_features_of_stored_columns() -> None:
    with works_with("datasets"):
        for batched in (False, True):
            rows = handed_over(batched=batched)
            assert datasets_internals.stored_features(rows) == {"a": Video(), "b": Value("int64")}
            rows["b"] = rows["b"]
            assert list(datasets_internals.stored_features(rows)) == ["a"]


def test_stored_columns() -> None:
    with works_with("datasets"):
        batch = handed_over(batched=True)
        stored = datasets_internals.stored_column(batch, "a")
        assert stored is not None
        assert [cell["path"] for cell in stored.to_pylist()] == ["x.mp4", "y.mp4"]
        batch["b"] = [3, 4]
        assert datasets_internals.stored_column(batch, "b") is None


def test_decodable_features() -> None:
    with works_with("datasets"):
        assert datasets_internals.is_decodable(List(Video()))
        assert datasets_internals.is_decodable(Video(decode=False))
        assert not datasets_internals.is_decodable(Value("string"))


@needs_torchcodec
def test_encoded_files(clips: dict[str, Path]) -> None:
    path = str(clips["Siren"])
    ds = Dataset.from_dict({"a": [path]}).cast_column("a", Video())
    with works_with("datasets"):
        file = datasets_calls.encoded_file(ds[0]["a"])
        assert isinstance(file, dict)
        assert file["path"] == path
    assert datasets_calls.encoded_file("x.mp4") is None


def rows() -> Iterator[dict[str, int]]:
    yield from ({"a": number} for number in range(4))


def test_steps_of_streams() -> None:
    with works_with("datasets"):
        stream = IterableDataset.from_generator(rows).map(lambda row: row)
        step = datasets_internals.get_steps(stream)
        assert datasets_internals.is_step(step)
        assert any(datasets_internals.is_step(value) for value in vars(step).values())
        assert not datasets_internals.is_step(stream)


def test_features_of_streams() -> None:
    with works_with("datasets"):
        stream = IterableDataset.from_generator(rows)
        assert stream.features is None
        assert datasets_internals.infer_features(stream).features == Features({"a": Value("int64")})


def test_node_shares() -> None:
    with works_with("datasets"):
        stream = IterableDataset.from_generator(rows)
        assert datasets_internals.get_node_share(stream) is None
        node = split_dataset_by_node(stream, rank=1, world_size=3)
        assert datasets_internals.get_node_share(node) == (1, 3)


def test_prepared_urls() -> None:
    chained = "zip://a.mp4::https://x.test/a.zip"
    with works_with("datasets"):
        url, options = datasets_internals.prepare_url(chained, {"https": {"a": 1}})
        assert url == chained
        assert options["https"]["a"] == 1


def called(is_streaming: bool, function: Callable[[], bool], **options: Any) -> bool:
    """The answer of a function that `map` calls."""
    answers = []
    ds = Dataset.from_dict({"a": [1]})
    mapped: Any = ds.to_iterable_dataset() if is_streaming else ds.with_format("numpy")
    mapped = mapped.map(asking(function, answers), **options)
    list(mapped)
    return answers[0]


def asking(function: Callable[[], bool], answers: list[bool]) -> Callable[..., None]:
    """A function of the package, as far as its frame tells, that asks when it is called."""
    names: dict[str, Any] = {"__name__": PACKAGE.name, "function": function, "answers": answers}
    exec("def ask(*values):\n    answers.append(function())\n    return {}", names)
    return names["ask"]  # type: ignore[no-any-return]


def test_callers() -> None:
    with works_with("datasets"):
        assert called(False, datasets_calls.called_by_arrow_map)
        assert not called(True, datasets_calls.called_by_arrow_map)
        for is_streaming in (False, True):
            assert called(is_streaming, datasets_calls.called_with_indices, with_indices=True)
            assert not called(is_streaming, datasets_calls.called_with_indices)


def tell_part(row: Any) -> dict[str, Any]:
    return {"part": datasets_calls.read_map_worker()}


def test_a_map_tells_its_workers_who_they_are() -> None:
    rows = Dataset.from_dict({"a": [1, 2, 3]})
    with works_with("datasets"):
        assert rows.map(tell_part, num_proc=2)["part"][:] == [[0, 2], [0, 2], [1, 2]]
        assert rows.map(tell_part)["part"][:] == [None] * 3
    assert datasets_calls.read_map_worker() is None


# fsspec


def test_cached_copies(tmp_path: Path) -> None:
    source = tmp_path / "a.txt"
    source.write_text("text")
    for protocol in ("simplecache", "filecache"):
        system = fsspec.filesystem(
            protocol, target_protocol="file", cache_storage=str(tmp_path / protocol), check_files=False
        )
        with works_with("fsspec"):
            assert not other_libraries.find_cached_copy(system, str(source))
            system.open(str(source)).close()
            assert other_libraries.find_cached_copy(system, str(source))


# torch


def test_library_of_torch() -> None:
    with works_with("torch"):
        assert Path(other_libraries.torch_library_path()).is_file()


def test_capabilities_of_torch() -> None:
    with works_with("torch"):
        assert other_libraries.is_in_bad_fork() is False
        assert set(other_libraries.find_bfloat16_units()) <= {"amx", "avx512_bf16"}


# typer


def test_exit_code_of_typer() -> None:
    code = (
        "import typer\n"
        "from hf_audio_tagger.compat.other_libraries import set_usage_error_exit_code\n"
        "set_usage_error_exit_code(7)\n"
        "typer.run(lambda: None)"
    )
    done = subprocess.run([sys.executable, "-c", code, "--unknown"], capture_output=True, timeout=60)
    with works_with("typer"):
        assert done.returncode == 7, done.stderr.decode()


# multiprocess


def send_identity(pipe: Any, process: Any) -> None:
    pipe.send(other_libraries.worker_identity(process.current_process()))


@pytest.mark.parametrize("name", ["multiprocess", "multiprocessing"])
def test_worker_identities(name: str) -> None:
    library = pytest.importorskip(name)
    with works_with("multiprocess"):
        assert other_libraries.worker_identity(library.current_process()) == (
            multiprocessing.current_process()._identity  # type: ignore[attr-defined]
            if library is multiprocessing
            else ()
        )
        here, there = library.Pipe()
        worker = library.Process(target=send_identity, args=(there, library))
        worker.start()
        assert here.poll(60)
        assert len(here.recv()) == 1
        worker.join(60)


# Nowhere else, and with bounds


def private_names(path: Path) -> Iterator[str]:
    """Private names in a module that may be of another library: imports, and attributes except of `self`."""
    tree = ast.parse(path.read_text("utf-8"))
    own = {
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and is_private(node.name)
    }
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Attribute) and not is_self(node.value):
            names = [node.attr]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [part for alias in node.names for part in alias.name.split(".")]
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("getattr", "setattr", "hasattr"):
            names = [str(argument.value) for argument in node.args[1:2] if isinstance(argument, ast.Constant)]
        for name in names:
            if is_private(name) and name not in own:
                yield f"{path.relative_to(PACKAGE)}:{node.lineno} {name}"


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


PUBLIC_WITH_UNDERSCORE = {"_exit"}  # os._exit is documented
UNDOCUMENTED = (
    "pklregister",
    "LazyRow",
    "LazyBatch",
    "LazyDict",
    "keys_to_format",
    "generate_from_arrow_type",
    "require_decoding",
    "decode_nested_example",
    "__base__",
)


def test_private_names_stand_in_compat_alone() -> None:
    found = [
        name
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.parent.name != "compat"
        for name in private_names(path)
        if name.split()[-1] not in PUBLIC_WITH_UNDERSCORE
    ]
    assert not found, f"Move them to {PACKAGE.name}/compat: {found}"


def test_undocumented_names_stand_in_compat_alone() -> None:
    found = [
        f"{path.relative_to(PACKAGE)} {name}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.parent.name != "compat"
        for name in UNDOCUMENTED
        if name in path.read_text("utf-8")
    ]
    assert not found, f"Move them to {PACKAGE.name}/compat: {found}"


def test_libraries_whose_private_names_are_used_have_upper_bounds() -> None:
    setup = ConfigParser()
    setup.read(SETUP)
    lines = setup["options"]["install_requires"].splitlines()
    bounds = {
        requirement.name: requirement.specifier
        for requirement in (Requirement(line) for line in lines if line and not line.startswith("#"))
    }
    for library in ("datasets", "fsspec", "torch", "typer"):
        assert metadata.version(library) in bounds[library]
        assert not SpecifierSet(str(bounds[library])).contains("9999.1"), f"{library} has no upper bound"


def test_the_version_is_told_when_a_name_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(datasets.IterableDataset, "_resolve_features")
    with pytest.raises(AssertionError, match=rf"datasets {datasets.__version__} changed a private name"):
        test_features_of_streams()


class Traveller:
    """An object that knows where it was pickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return bool, (other_libraries.called_by_pool(),)


@pytest.mark.parametrize("name", ["multiprocess", "multiprocessing"])
def test_the_thread_that_pickles_for_a_pool_is_known(name: str) -> None:
    library = pytest.importorskip(name)
    assert pickle.loads(pickle.dumps(Traveller())) is False
    with works_with("multiprocess"), library.Pool(1) as pool:
        assert pool.apply(bool, (Traveller(),)) is True

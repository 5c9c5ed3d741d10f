"""Neighbours: the worked figures, ties, what is left out, and what is refused. The reference is numpy."""

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset, Features, List, Value
from typer.testing import CliRunner

from hf_audio_tagger import build_tagger, nearest, read_neighbors, write_neighbors
from hf_audio_tagger.cli import app
from hf_audio_tagger.errors import ColumnError, SettingsError
from hf_audio_tagger.neighbors import search as search_module
from hf_audio_tagger.provenance import add_provenance, record_tagger

COLUMN = "video_audio_embedding"
EMBEDDING = List(List(Value("float32")))
BASE = [[1, 0], [3, 4], [0, 2], [-1, 0], [10, 0], [0, 0], [4, 3]]
QUERIES = [[2, 0], [1, 1], [0, -5]]


def make_rows(vectors: Any, prefix: str = "n", feature: Any = EMBEDDING) -> Dataset:
    """Rows with a vector each, in the form that the tagger writes; None is a row that failed."""
    cells = [None if vector is None else [vector] for vector in vectors]
    ids = [f"{prefix}{row}" for row in range(len(cells))]
    return Dataset.from_dict(
        {"id": ids, COLUMN: cells}, features=Features({"id": Value("string"), COLUMN: feature})
    )


def read_found(near: Dataset) -> dict[str, list[tuple[str, float]]]:
    return {row["id"]: [(one["id"], one["score"]) for one in row["neighbors"]] for row in near}


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several blocks of both sides, and of the base more than one in each."""
    monkeypatch.setattr(search_module, "QUERIES_AT_ONCE", 16)
    monkeypatch.setattr(search_module, "BASE_ROWS_AT_ONCE", 1024)


@pytest.mark.filterwarnings("ignore:1 of 7 rows")
def test_the_worked_figures() -> None:
    near = nearest(make_rows(QUERIES, "q"), make_rows(BASE), k=3)
    assert near.features == Features(
        {"id": Value("string"), "neighbors": List({"id": Value("string"), "score": Value("float32")})}
    )
    found = read_found(near)
    assert found["q0"] == [("n0", 1.0), ("n4", 1.0), ("n6", pytest.approx(0.8))]
    assert {name for name, _ in found["q1"][:2]} == {"n1", "n6"}
    assert [score for _, score in found["q1"]] == pytest.approx([0.989949, 0.989949, 0.707107], abs=1e-6)
    assert found["q1"][2][0] == "n0"
    assert found["q2"] == [("n0", 0.0), ("n3", 0.0), ("n4", 0.0)]
    near = nearest(make_rows(QUERIES, "q"), make_rows(BASE), k=10)
    assert all(len(row["neighbors"]) == 6 for row in near)
    assert "n5" not in {one["id"] for row in near for one in row["neighbors"]}


def rank_by_numpy(queries: np.ndarray, base: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """In float64, all at once."""
    units = [one / np.linalg.norm(one, axis=1, keepdims=True) for one in map(np.float64, (queries, base))]
    scores = units[0] @ units[1].T
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(scores, order, 1)


@pytest.mark.parametrize(
    "feature", [EMBEDDING, List(List(Value("float64"))), List(List(Value("float32"), 24))]
)
def test_blocks_agree_with_numpy(small_blocks: None, feature: Any) -> None:
    rng = np.random.default_rng(5)
    queries, base = rng.standard_normal((40, 24)), rng.standard_normal((5_000, 24))
    near = nearest(make_rows(queries.tolist(), "q", feature), make_rows(base.tolist(), "n", feature), k=7)
    order, scores = rank_by_numpy(np.float32(queries), np.float32(base), 7)
    assert [[one["id"] for one in row] for row in near["neighbors"]] == [
        [f"n{place}" for place in places] for places in order
    ]
    found = [[one["score"] for one in row] for row in near["neighbors"]]
    assert np.abs(np.array(found) - scores).max() < 5e-7


def test_equal_scores_are_in_the_order_of_the_base(small_blocks: None) -> None:
    """Small whole numbers give the same sums in any order: hundreds of exact ties across blocks."""
    rng = np.random.default_rng(6)
    base = np.eye(4)[rng.integers(0, 4, 5_000)]
    near = nearest(make_rows(np.eye(4).tolist(), "q"), make_rows(base.tolist()), k=150)
    for row, axis in zip(near, range(4), strict=True):
        assert [one["id"] for one in row["neighbors"]] == [
            f"n{place}" for place in np.flatnonzero(base[:, axis])[:150]
        ]


def test_a_row_is_never_its_own_neighbour_whatever_it_is_compared_with(small_blocks: None) -> None:
    rng = np.random.default_rng(7)
    rows = make_rows(rng.standard_normal((1_100, 8)).tolist())
    for near in (nearest(rows, rows, k=3), nearest(rows.select(range(1_090, 1_100)), rows, k=2_000)):
        assert all(row["id"] not in {one["id"] for one in row["neighbors"]} for row in near)
    assert all(len(row["neighbors"]) == 1_099 for row in near)
    twice = Dataset.from_dict({"id": ["a", "a", "b"], COLUMN: [[[1.0, 0.0]], [[0.0, 1.0]], [[1.0, 1.0]]]})
    assert [[one["id"] for one in row["neighbors"]] for row in nearest(twice, twice)] == [
        ["b"],
        ["b"],
        ["a", "a"],
    ]


def test_rows_without_a_direction_are_left_out_and_counted() -> None:
    broken = [None, [0.0, 0.0], [np.nan, 1.0], [np.inf, 1.0], [1.0, 0.0]]
    queries, base = make_rows(broken, "q"), make_rows([*broken, [2.0, 1.0]])
    with pytest.warns(UserWarning, match="4 of 5 queries and 4 of 6 rows of the base have no embedding"):
        near = nearest(queries, base)
    assert read_found(near) == {"q4": [("n4", 1.0), ("n5", pytest.approx(2 / 5**0.5))]}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nearest(make_rows([[1.0, 0.0]], "q"), make_rows([[1.0, 0.0]]))
    with pytest.warns(UserWarning, match="2 of 2 queries"):
        assert len(nearest(make_rows([None, [0.0, 0.0]], "q"), make_rows([[1.0, 0.0]]))) == 0
    with pytest.warns(UserWarning, match="1 of 1 rows of the base"):
        assert read_found(nearest(make_rows([[1.0]], "q"), make_rows([None]))) == {"q0": []}


def test_very_long_and_very_short_vectors_have_a_direction() -> None:
    base = make_rows([[3e38, 3e38], [1e-40, 0.0], [1e-30, -1e-30]])
    found = read_found(nearest(make_rows([[1e30, 0.0]], "q"), base))["q0"]
    assert [name for name, _ in found] == ["n1", "n0", "n2"]
    assert [score for _, score in found] == pytest.approx([1, 0.5**0.5, 0.5**0.5], abs=1e-6)


def test_one_vector_a_row_and_whole_numbers_as_ids() -> None:
    queries = Dataset.from_dict({"key": [7, 8], "vector": [[1.0, 0.0], [0.0, 1.0]]})
    near = nearest(queries, queries, column="vector", id_column="key")
    assert near.to_list() == [
        {"id": 7, "neighbors": [{"id": 8, "score": 0.0}]},
        {"id": 8, "neighbors": [{"id": 7, "score": 0.0}]},
    ]


def test_the_same_search_again_reads_the_cache_and_still_counts(tmp_path: Path) -> None:
    make_rows([[1.0, 0.0], None], "q").to_parquet(tmp_path / "q.parquet")
    make_rows([[1.0, 0.0], None, None]).to_parquet(tmp_path / "n.parquet")
    queries, base = (Dataset.from_parquet(str(tmp_path / f"{name}.parquet")) for name in "qn")
    for turn in range(2):
        with pytest.warns(UserWarning, match="1 of 2 queries and 2 of 3 rows"):
            near = nearest(queries, base)  # type: ignore[arg-type]
        assert near.cache_files
        if turn == 0:
            first = Path(near.cache_files[0]["filename"]).stat().st_mtime_ns
    assert Path(near.cache_files[0]["filename"]).stat().st_mtime_ns == first


@pytest.mark.parametrize(
    ("queries", "base", "message"),
    [
        (make_rows([[1.0]], "q"), make_rows([[1.0, 2.0]]), "1 elements, the base's 2"),
        (
            make_rows([[1.0]]).rename_column(COLUMN, "x"),
            make_rows([[1.0]]),
            "no column 'video_audio_embedding'",
        ),
        (make_rows([[1.0]]).rename_column("id", "x"), make_rows([[1.0]]), "queries have no column 'id'"),
        (make_rows([[1.0], [1.0, 2.0]], "q"), make_rows([[1.0]]), "one width; they have 1, 2"),
        (
            Dataset.from_dict({"id": ["a", "b"], COLUMN: [[[1.0]], [[1.0], [2.0]]]}),
            make_rows([[1.0]]),
            "Row 1 of 'video_audio_embedding' has 2 videos",
        ),
        (
            Dataset.from_dict({"id": ["a"], COLUMN: [["x"]]}),
            make_rows([[1.0]]),
            "must hold a vector of numbers",
        ),
        (
            Dataset.from_dict({"id": [None, "b"], COLUMN: [[[1.0]]] * 2}),
            make_rows([[1.0]]),
            "Row 0 .* has no id",
        ),
        (
            Dataset.from_dict({"id": [1], COLUMN: [[[1.0]]]}),
            make_rows([[1.0]]),
            "int64 in the queries and string",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(queries: Dataset, base: Dataset, message: str) -> None:
    with pytest.raises(ColumnError, match=message):
        nearest(queries, base)


def test_wrong_arguments_are_refused() -> None:
    rows = make_rows([[1.0]])
    with pytest.raises(SettingsError, match="k must be a whole number of at least 1; got 0"):
        nearest(rows, rows, k=0)
    with pytest.raises(SettingsError, match="base must be a Dataset"):
        nearest(rows, {"train": rows})  # type: ignore[arg-type]


def test_embeddings_of_another_model_are_refused_where_both_sides_say_whose_they_are() -> None:
    plain = make_rows([[1.0], [0.5]])

    def tagged(**settings: Any) -> Dataset:
        tagger = build_tagger(embeddings=True, **settings)
        return add_provenance(
            plain.add_column("video_audio_tags", [["Dog"]] * 2), {"video_audio_tags": [record_tagger(tagger)]}
        )

    demo, other = tagged(model="demo"), tagged(model="demo", windows="all", top_k=3)
    assert len(nearest(demo, plain)) == len(nearest(demo, other)) == 2
    record = record_tagger(build_tagger("demo"))

    def with_record(record: Any) -> Dataset:
        return add_provenance(demo, {"video_audio_tags": [record]})

    with pytest.raises(SettingsError, match="different models: demo and MIT/ast"):
        nearest(demo, with_record(replace(record, model="MIT/ast")))
    with pytest.raises(SettingsError, match="revision is None and 'v2'"):
        nearest(demo, with_record(replace(record, settings={**record.settings, "revision": "v2"})))
    with pytest.raises(SettingsError, match="the files of demo differ"):
        nearest(demo, with_record(replace(record, model_digest="0")))
    with pytest.raises(SettingsError, match="the files of demo differ, or this package's"):
        nearest(demo, with_record(replace(record, digest="0", model_digest=None)))


def test_files_keep_order_and_scores(tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    near = nearest(
        make_rows(rng.standard_normal((5, 3)).tolist(), "q"), make_rows(rng.standard_normal((9, 3)).tolist())
    )
    write_neighbors(near, tmp_path / "near.512")
    assert read_neighbors(tmp_path / "near.512").to_list() == near.to_list()
    assert [row["neighbors"] for row in read_neighbors(tmp_path / "near.512", k=2)] == [
        row["neighbors"][:2] for row in near
    ]
    lines = (tmp_path / "near.512").read_text().splitlines()
    assert [list(json.loads(line)) for line in lines] == [[id] for id in near["id"]]
    assert json.loads(lines[0])["q0"][0][0] == near[0]["neighbors"][0]["id"]
    with pytest.raises(SettingsError, match=r"none.near: it cannot be written \(No such file"):
        write_neighbors(near, tmp_path / "none" / "near")


def test_published_files_are_read_and_wrong_lines_are_named(tmp_path: Path) -> None:
    path = tmp_path / "bimodal.512"
    path.write_text('{"s": [["a", 0.5], ["b", 0]]}\n\n{"t": []}\n')
    assert read_found(read_neighbors(path)) == {"s": [("a", 0.5), ("b", 0.0)], "t": []}
    for line in ('{"s": [["a"]]}', '{"s": [], "t": []}', "[]", "{", '{"s": [[1, 0.5]]}', '{"s": 3}'):
        path.write_text('{"s": []}\n' + line)
        with pytest.raises(SettingsError, match=r"bimodal\.512, line 2: expected"):
            read_neighbors(path)
    with pytest.raises(SettingsError, match="cannot be read"):
        read_neighbors(tmp_path / "none")
    with pytest.raises(ColumnError, match="id and neighbors"):
        write_neighbors(make_rows([[1.0]]), path)


def test_the_command_writes_what_python_finds(tmp_path: Path) -> None:
    rows = make_rows([[1.0, 0.0], None, [1.0, 1.0], [0.0, 1.0]])
    rows.to_parquet(tmp_path / "tagged.parquet")
    names, out = [str(tmp_path / "tagged.parquet")] * 2, tmp_path / "near.jsonl"
    done = CliRunner().invoke(app, ["nearest", *names, "--out", str(out), "-k", "1", "--json"])
    assert done.exit_code == 0, done.output
    counts = {"queries": 4, "queries_left_out": 1, "base": 4, "base_left_out": 1}
    assert json.loads(done.stdout) == {**counts, "k": 1, "out": str(out)}
    assert "1 of 4 queries and 1 of 4 rows of the base" in done.stderr
    with pytest.warns(UserWarning, match="left out"):
        assert read_neighbors(out).to_list() == nearest(rows, rows, k=1).to_list()
    done = CliRunner().invoke(app, ["nearest", *names, "--out", str(out), "--column", "x"])
    assert done.exit_code == 1
    assert "no column 'x'" in done.stderr

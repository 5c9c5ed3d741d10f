"""Rows by words or like a clip. The references are numpy and transformers."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset, Features, List, Value, concatenate_datasets, load_from_disk
from sklearn.metrics.pairwise import cosine_similarity
from transformers import ClapModel, ClapProcessor
from typer.testing import CliRunner

from hf_audio_tagger import build_tagger, find, nearest, record_model, tag_dataset
from hf_audio_tagger.cli import app
from hf_audio_tagger.demo import WORDS_CHECKPOINT
from hf_audio_tagger.demo.sounds import synthesize
from hf_audio_tagger.demo.videos import write_video
from hf_audio_tagger.errors import ColumnError, SettingsError
from hf_audio_tagger.neighbors import scan as scan_module
from hf_audio_tagger.runs import load_result

TAGS, COLUMN = "video_audio_tags", "video_audio_embedding"
WIDTH = 96
WORDS = build_tagger("demo-words", embeddings=True, device="cpu")


def make_rows(cells: list[Any], feature: Any = None) -> Dataset:
    """Rows with embeddings as the tagger writes them; None is a row that failed."""
    features = Features(
        {"id": Value("int64"), TAGS: List(Value("string")), COLUMN: feature or List(List(Value("float32")))}
    )
    values = {"id": range(100, 100 + len(cells)), TAGS: [[None]] * len(cells), COLUMN: cells}
    return Dataset.from_dict({name: [*value] for name, value in values.items()}, features=features)


@cache
def embed_by_transformers(text: str) -> np.ndarray:
    model, processor = (
        ClapModel.from_pretrained(WORDS_CHECKPOINT),
        ClapProcessor.from_pretrained(WORDS_CHECKPOINT),
    )
    with torch.inference_mode():
        inputs = processor.tokenizer([text], return_tensors="pt")
        vector: np.ndarray = model.float().eval().get_text_features(**inputs).pooler_output.numpy()
    return vector


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_module, "ROWS_AT_ONCE", 700)


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return np.random.default_rng(4).standard_normal((3_000, WIDTH)).astype(np.float32) * 3


def rank(scores: np.ndarray, k: int) -> tuple[list[int], np.ndarray]:
    order = np.argsort(-scores, kind="stable")[:k]
    return order.tolist(), scores[order]


def check(found: Dataset, scores: np.ndarray) -> None:
    rows, expected = rank(scores, len(found))
    assert found["found_row"][:] == rows
    assert found["id"][:] == [100 + row for row in rows]
    np.testing.assert_allclose(found["found_score"][:], expected, atol=2e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_scores_are_cosines_with_the_texts(small_parts: None, vectors: np.ndarray, dtype: str) -> None:
    ds = make_rows([[row] for row in vectors], List(List(Value(dtype))))
    siren, bell = (
        cosine_similarity(vectors, embed_by_transformers(text))[:, 0] for text in ("siren", "a bell")
    )
    check(find(ds, "siren", k=30, model=WORDS), siren)
    check(find(ds, ["siren", "a bell"], k=30, model=WORDS), (siren + bell) / 2)
    check(find(ds, "siren", k=30, without="a bell", model=WORDS), siren - np.maximum(bell, 0))
    wind = cosine_similarity(vectors, embed_by_transformers("wind"))[:, 0]
    least = siren - np.maximum(np.maximum(bell, wind), 0)
    check(find(ds, "siren", k=30, without=["a bell", "wind"], model=WORDS), least)
    alike = cosine_similarity(vectors, vectors[7:8])[:, 0]
    check(
        find(ds, "siren", k=30, like=7, model=WORDS), np.where(np.arange(3_000) == 7, -9, (siren + alike) / 2)
    )


def test_rows_like_a_row(small_parts: None, vectors: np.ndarray) -> None:
    """Needs no model, and the row itself is left out."""
    ds = make_rows([[row] for row in vectors])
    scores = cosine_similarity(vectors, vectors[2_990:2_991])[:, 0]
    scores[2_990] = -9
    check(find(ds, like=2_990), scores)
    check(find(ds, like=-10, k=3), scores)
    everything = find(ds.select(range(40)), like=0, k=100)
    assert sorted(everything["found_row"][:]) == [*range(1, 40)]


def test_equal_scores_are_in_the_order_of_the_rows(small_parts: None) -> None:
    axes = np.eye(4, dtype=np.float32)[np.random.default_rng(6).integers(0, 4, 3_000)]
    found = find(make_rows([[row] for row in axes]), like=0, k=500)
    expected = [row for row in range(1, 3_000) if (axes[row] == axes[0]).all()][:500]
    assert found["found_row"][:] == expected
    assert set(found["found_score"][:]) == {1.0}


def test_rows_with_several_videos_or_none(small_parts: None, vectors: np.ndarray) -> None:
    """The best of a row's videos counts. EMPTY, failed and untagged rows, zeros and NaN are never found."""
    odd: list[Any] = [[], None, [None], [[0.0] * WIDTH], [[np.nan] * WIDTH], [None, *vectors[:1]]]
    cells = [*odd, *([a, b] for a, b in zip(vectors[1:1500], vectors[1500:2999], strict=True))]
    ds = make_rows(cells)
    cosines = cosine_similarity(vectors, embed_by_transformers("siren"))[:, 0]
    best = np.maximum(cosines[1:1500], cosines[1500:2999])
    check(find(ds, "siren", k=1_000, model=WORDS), np.concatenate([[-9.0] * 5, cosines[:1], best]))
    assert len(find(ds.select(range(6)), "siren", model=WORDS)) == 1
    with pytest.warns(UserWarning, match="No row has an embedding"):
        assert len(find(ds.select(range(5)), "siren", model=WORDS)) == 0
    assert len(find(ds.select([]), "siren", model=WORDS)) == 0


def test_vectors_of_any_length_have_a_direction() -> None:
    ds = make_rows([[[3e38, 3e38]], [[1e-40, 0.0]], [[1e-30, -1e-30]], [[1e30, 0.0]]])
    found = find(ds, like=3)
    assert found["found_row"][:] == [1, 0, 2]
    assert found["found_score"][:] == pytest.approx([1, 0.5**0.5, 0.5**0.5], abs=1e-6)


def test_the_result_is_rows_with_their_types_and_metadata(vectors: np.ndarray) -> None:
    ds = record_model(make_rows([[row] for row in vectors[:50]]), WORDS).filter(
        lambda id: id % 2 == 0, input_columns="id"
    )
    found = find(ds, "siren", k=5)
    added = {"found_score": Value("float32"), "found_row": Value("int64")}
    assert found.features == Features({**ds.features, **added})
    assert [ds[row]["id"] for row in found["found_row"]] == found["id"][:]
    again = find(found, "wind", k=3)  # replaces both columns
    assert again.column_names == found.column_names
    assert all(row < 5 for row in again["found_row"])


def test_the_model_is_that_of_the_metadata(tmp_path: Path, vectors: np.ndarray) -> None:
    plain = make_rows([[row] for row in vectors[:50]])
    with pytest.raises(SettingsError, match=r"Nothing says which model made .*record_model"):
        find(plain, "siren")
    ds = record_model(plain, WORDS)
    assert not plain.info.description
    rows = find(ds, "siren", model=WORDS)["id"][:]
    ds.save_to_disk(tmp_path / "rows")
    mapped = ds.map(lambda id: {"twice": 2 * id}, input_columns="id").select(range(50))
    for kept in (
        ds,
        mapped,
        load_from_disk(tmp_path / "rows"),
        concatenate_datasets([ds, ds]).select(range(50)),
    ):
        assert find(kept, "siren")["id"][:] == rows
    labelled = build_tagger("demo-words", labels=["siren", "bell"], embeddings=True, windows="all")
    assert find(record_model(plain, labelled), "siren", model=WORDS)["id"][:] == rows  # the same model


def test_embeddings_of_other_models_are_refused_by_name(vectors: np.ndarray) -> None:
    plain = make_rows([[row] for row in vectors[:5]])
    demo, words = (record_model(plain, tagger) for tagger in (build_tagger("demo", embeddings=True), WORDS))
    with pytest.raises(SettingsError, match=r"another model than model=: demo and demo-words"):
        find(demo, "siren", model="demo-words")
    for mixed in (concatenate_datasets([demo, words]), concatenate_datasets([words, demo])):
        with pytest.raises(
            SettingsError, match=r"different models: (demo and demo-words|demo-words and demo)"
        ):
            find(mixed, "siren")
    with pytest.raises(SettingsError, match=r"different models: demo and demo-words"):
        nearest(demo, words, id_column="id")
    with pytest.raises(SettingsError, match=r"model='demo' has no text side"):
        find(demo, "siren")
    with pytest.raises(SettingsError, match=r"made by another tagger: model was 'demo', is now 'demo-words'"):
        record_model(demo, WORDS)
    with pytest.raises(ColumnError, match=r"The vectors .* have 3 elements, those of the model 96"):
        find(make_rows([[[1.0, 0.0, 1.0]]]), "siren", model=WORDS)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({}, "needs words or a clip"),
        ({"without": "wind"}, "needs words or a clip"),
        ({"text": " "}, "text must be a text or a list of texts"),
        ({"text": []}, "text must be a text or a list of texts"),
        ({"text": "a", "without": [3]}, "without must be a text or a list of texts"),
        ({"text": "a", "k": 0}, "k must be a whole number"),
        ({"like": 5}, "like must be a row of the dataset, of which there are 5; got 5"),
        ({"like": 1, "column": "no"}, "There is no column 'no'"),
    ],
)
def test_wrong_arguments_are_refused(vectors: np.ndarray, arguments: Any, reason: str) -> None:
    with pytest.raises((SettingsError, ColumnError), match=reason):
        find(make_rows([[row] for row in vectors[:5]]), model=WORDS, **arguments)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of the demo's sounds, named like them."""
    folder = tmp_path_factory.mktemp("clips")
    for seed, label in enumerate(("Siren", "Church bell", "Wind", "Speech")):
        sound = synthesize(label, 4.0, 44_100, 2_000_000 + seed)
        write_video(folder / f"{label.split()[-1].lower()}.mp4", sound, 44_100)
    write_video(folder / "silent.mp4", None, 44_100, seconds=1.0)
    return folder


def test_a_run_is_searched_in_python_and_on_the_shell(clips: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.mp4"
    write_video(other, synthesize("Wind", 5.0, 48_000, 2_000_100), 48_000)
    tag_dataset(str(clips), tmp_path / "tagged", build_tagger("demo-words", embeddings=True, device="cpu"))
    run = CliRunner().invoke

    def ask(*arguments: str) -> list[dict[str, Any]]:
        result = run(app, ["find", str(tmp_path / "tagged"), *arguments, "--json"])
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)["found"]  # type: ignore[no-any-return]

    first = {
        "police car": "siren.mp4",
        "an old bronze bell tolling": "bell.mp4",
        "a storm blowing outside": "wind.mp4",
        "a woman is talking": "speech.mp4",
    }
    for text, name in first.items():
        found = ask(text)
        assert len(found) == 4  # all but the clip without sound
        assert str(found[0]["video"]).endswith(name)
    for name in (tmp_path / "tagged", next((tmp_path / "tagged").rglob("*.parquet"))):
        assert find(name, "police car", k=1)["found_row"][0] == ask("police car")[0]["row"]
    assert str(ask("--like", str(other), "-k", "1")[0]["video"]).endswith("wind.mp4")
    both = ask("police car", "a storm blowing outside", "--without", "siren")
    assert str(both[0]["video"]).endswith("wind.mp4")
    table = run(app, ["find", str(tmp_path / "tagged"), "police car", "-k", "2"])
    assert table.exit_code == 0
    assert "siren.mp4" in "".join(table.stdout.split())  # a narrow terminal folds the path
    words = build_tagger("demo-words", embeddings=True, device="cpu", labels="siren,bell", tag_column="words")
    tag_dataset(str(clips), tmp_path / "named", words)
    arguments = ["find", str(tmp_path / "named"), "police car", "-k", "1", "--column", "words_embedding"]
    named = run(app, [*arguments, "--json"])
    assert json.loads(named.stdout)["found"][0]["tags"] == ["siren"]
    asked_nothing = run(app, ["find", str(tmp_path / "tagged")])
    assert asked_nothing.stderr.strip() == (
        'find needs words or a clip: a text such as "rain", --like, or both.'
    )
    refused = run(app, ["find", str(tmp_path / "tagged"), "police car", "--model", "yamnet"])
    assert refused.exit_code == 1
    assert "demo-words and yamnet" in " ".join(refused.stderr.split())


def test_every_form_of_tagged_rows_is_searched(clips: Path, tmp_path: Path) -> None:
    """Each tells which model made its embeddings: the rows' metadata or, of JSON Lines, the run's shards."""
    for name in ("tags.jsonl", "tags.parquet", "tagged"):
        tag_dataset(str(clips), tmp_path / name, WORDS)
    (tmp_path / "tagged" / ".hf_audio_tagger" / "run.json").unlink()  # any folder with Parquet files
    load_result(tmp_path / "tags.jsonl").save_to_disk(tmp_path / "saved")
    for name in ("tags.jsonl", "tags.parquet", "tagged", "saved"):
        found = find(tmp_path / name, "police car", k=1)
        assert found["file_name"][:] == ["siren.mp4"], name
    asked = CliRunner().invoke(app, ["find", str(tmp_path / "tags.jsonl"), "police car", "--json"])
    assert str(json.loads(asked.stdout)["found"][0]["video"]).endswith("siren.mp4")


@pytest.mark.parametrize("model", ["yamnet", "demo"])
def test_each_models_embeddings_are_found_and_told_apart(clips: Path, tmp_path: Path, model: str) -> None:
    """A model without a text side finds what is like a clip, and its embeddings are refused beside others."""
    tagger = build_tagger(model, embeddings=True, device="cpu", on_error="record")
    tag_dataset(str(clips), tmp_path / "tagged", tagger)
    like = clips / "siren.mp4"
    found = find(tmp_path / "tagged", like=str(like), k=1)
    assert found.with_format("arrow")["video"][0].as_py()["path"] == str(like)
    assert found["found_score"][0] == pytest.approx(1, abs=1e-5)
    with pytest.raises(SettingsError, match=rf"{model} and demo-words"):
        find(tmp_path / "tagged", "a siren", model=WORDS)
    with pytest.raises(SettingsError, match="has no text side"):
        find(tmp_path / "tagged", "a siren")

"""Weights for a sampler: the worked figures, torch's sampler, AST's own way to write them, real lists."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, List
from typer.testing import CliRunner

from hf_audio_tagger import read_index, read_weights, sample_weights, write_weights
from hf_audio_tagger.cli import app
from hf_audio_tagger.errors import ColumnError, SettingsError
from tests.conftest import folder_from
from tests.index_files import SEGMENTS

ROWS = [["Speech"], ["Speech", "Music"], ["Speech", "Dog"], ["Music"], []]
WORKED: list[tuple[Any, str, list[float]]] = [
    (1, "sum", [250, 583.333333, 750, 333.333333, 0]),
    (0.01, "sum", [332.225914, 829.738351, 1322.324924, 497.512438, 0]),
    (100, "sum", [9.708738, 19.512659, 19.609728, 9.803922, 0]),
    (0, "sum", [333.333333, 833.333333, 1333.333333, 500, 0]),
    (1, "max", [250, 333.333333, 500, 333.333333, 0]),
    ("vipant", "sum", [250, 583.333333, 750, 333.333333, 0]),
    ("AST", "sum", [332.225914, 829.738351, 1322.324924, 497.512438, 0]),
    ("passt", "sum", [9.708738, 19.512659, 19.609728, 9.803922, 0]),
]


def make(cells: list[Any]) -> Dataset:
    return Dataset.from_dict({"labels": cells})


@pytest.mark.parametrize(("offset", "combine", "expected"), WORKED)
def test_worked_figures(offset: Any, combine: str, expected: list[float]) -> None:
    weights = sample_weights(make(ROWS), offset=offset, combine=combine)
    assert weights.dtype == np.float64
    np.testing.assert_allclose(weights, expected, atol=5e-7)


def test_every_form_of_labels_weighs_the_same() -> None:
    mids = {"Speech": "/m/09x0r", "Music": "/m/04rlf", "Dog": "/m/0bt9lr"}
    forms = [
        make([[mids[name] for name in cell] for cell in ROWS]),
        make([",".join(mids[name] for name in cell) for cell in ROWS]),
        make([[*cell, *cell, "EMPTY", None] for cell in ROWS]),  # once each
        make([[list(mids).index(name) for name in cell] for cell in ROWS]).cast_column(
            "labels", List(ClassLabel(names=list(mids)))
        ),
    ]
    for ds in forms:
        np.testing.assert_array_equal(sample_weights(ds), sample_weights(make(ROWS)))
    numbers = make([[list(mids).index(name) for name in cell] for cell in ROWS])
    np.testing.assert_array_equal(sample_weights(numbers, classes=list(mids)), sample_weights(make(ROWS)))
    with pytest.raises(ColumnError, match="classes="):
        sample_weights(numbers)


def test_tags_of_a_tagged_dataset_and_a_set_of_its_own() -> None:
    tags = Dataset.from_dict(
        {"video_audio_tags": [["Dog", "Dog"], ["EMPTY"], None, [None], ["Dog", "Music"]]}
    )
    weights = sample_weights(tags, "video_audio_tags", offset=0)
    np.testing.assert_allclose(weights, [500, 0, 0, 0, 1_500])
    others = Dataset.from_dict({"category": ["crow", "rain", "crow"]})
    np.testing.assert_allclose(sample_weights(others, "category", offset=0), [500, 1_000, 500])


def test_against_exact_fractions_on_random_rows() -> None:
    rng = np.random.default_rng(0)
    names = ["Speech", "Music", "Dog", "Cat", "Siren"]
    cells = [rng.choice(names, rng.integers(0, 5), replace=False).tolist() for _ in range(400)]
    counts = {name: sum(name in cell for cell in cells) for name in names}
    for combine, join in (("sum", sum), ("max", max)):
        exact = [
            join([Fraction(1_000, counts[name] + 3) for name in cell] or [Fraction(0)]) for cell in cells
        ]
        weights = sample_weights(make(cells), offset=3, combine=combine)
        np.testing.assert_allclose(weights, [float(one) for one in exact], rtol=1e-14)


def test_torchs_sampler_draws_as_the_weights_say() -> None:
    import torch

    weights = sample_weights(make(ROWS))
    sampler = torch.utils.data.WeightedRandomSampler(
        weights, 200_000, generator=torch.Generator().manual_seed(0)
    )
    shares = np.bincount(list(sampler), minlength=5) / 200_000
    np.testing.assert_allclose(shares, np.array([3, 7, 9, 4, 0]) / 23, atol=0.004)
    assert shares[4] == 0


@pytest.mark.parametrize(
    "wrong",
    [
        *({"offset": one} for one in (-1, float("inf"), float("nan"), "ast2", True, None)),
        *({"combine": one} for one in ("mean", None)),
    ],
)
def test_wrong_settings(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=f"^{next(iter(wrong))} must be "):
        sample_weights(make(ROWS), **wrong)


def test_no_rows_and_no_labels() -> None:
    assert sample_weights(make([[], None])).tolist() == [0, 0]
    assert sample_weights(make([[], None]), combine="max").tolist() == [0, 0]
    assert sample_weights(make([["Dog"]]).select([])).tolist() == []


def test_files_are_those_of_numpy(tmp_path: Path) -> None:
    """AST writes them by savetxt and reads them by loadtxt."""
    weights = np.random.default_rng(0).random(1_000) * 1_000
    weights[3], weights[5] = 0, 1e-300
    write_weights(weights, tmp_path / "ours.csv")
    np.savetxt(tmp_path / "theirs.csv", weights)
    assert (tmp_path / "ours.csv").read_bytes() == (tmp_path / "theirs.csv").read_bytes()
    np.testing.assert_array_equal(read_weights(tmp_path / "ours.csv"), weights)
    (tmp_path / "short.csv").write_text("1\r\n0.5\r\n 2e3")
    assert read_weights(tmp_path / "short.csv", make([[], [], []])).tolist() == [1, 0.5, 2_000]


def test_weights_of_another_length_are_refused(tmp_path: Path) -> None:
    write_weights([1.0] * 1_500, tmp_path / "w.csv")
    with pytest.raises(SettingsError, match=r"1,500 weights, the dataset 5 rows"):
        read_weights(tmp_path / "w.csv", make(ROWS))


@pytest.mark.parametrize("line", ["x", "", "1 2", "1,2", "nan", "-1", "inf", "\u00e9"])
def test_a_wrong_line_is_an_error_with_its_number(tmp_path: Path, line: str) -> None:
    (tmp_path / "w.csv").write_text(f"1.0\n2.0\n{line}\n3.0\n", "utf-8")
    with pytest.raises(SettingsError, match=r"w\.csv, line 3: "):
        read_weights(tmp_path / "w.csv")


def test_wrong_weights_are_not_written(tmp_path: Path) -> None:
    for wrong in ([1.0, float("nan")], [1.0, -2.0], [[1.0]]):
        with pytest.raises(SettingsError):
            write_weights(wrong, tmp_path / "w.csv")
    assert not list(tmp_path.iterdir())
    with pytest.raises(SettingsError, match="No such file"):
        read_weights(tmp_path / "w.csv")


def test_the_shell_writes_weights(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(SEGMENTS)
    command = ["weights", str(tmp_path / "list.csv"), "--out", str(tmp_path / "w.csv")]
    done = CliRunner().invoke(app, [*command, "--json"])
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert (facts["rows"], facts["classes"], facts["rows_without_labels"]) == (2, 3, 0)
    assert read_weights(tmp_path / "w.csv").tolist() == [1_000, 500]
    done = CliRunner().invoke(app, [*command, "--offset", "AST", "--combine", "max"])
    assert "commonest over rarest class" in done.output
    np.testing.assert_allclose(read_weights(tmp_path / "w.csv"), [1_000 / 1.01] * 2)
    assert CliRunner().invoke(app, [*command, "--offset", "mine"]).exit_code == 1
    assert CliRunner().invoke(app, [*command, "--column", "tags"]).exit_code == 1


@pytest.mark.parametrize(
    ("offset", "combine", "first", "total"),
    [
        (1, "sum", [16.567780140, 16.393442623, 16.727908243], 519_079.750422),
        (0.01, "sum", [16.838256964, 16.663889352, 16.998410455], 526_919.539296),
        (100, "sum", [6.421379606, 6.25, 6.579008862], 215_209.607583),
        (0, "sum", None, 527_000),
        (1, "max", None, 361_007.531927),
    ],
)
def test_the_real_balanced_list(offset: float, combine: str, first: Any, total: float) -> None:
    ds = read_index(folder_from("HF_AUDIO_TAGGER_FACTS") / "balanced_train_segments.csv")
    weights = sample_weights(ds, offset=offset, combine=combine)
    assert weights.sum() == pytest.approx(total, abs=5e-7)
    if first is not None:
        np.testing.assert_allclose(weights[:3], first, atol=5e-10)
    if (offset, combine) == (1, "sum"):
        assert (weights.min(), weights.max()) == pytest.approx((12.820512821, 129.489978983), abs=5e-10)
        assert ds[int(weights.argmax())]["id"] == "mY8nrRXgGXw"


def test_the_real_eval_list() -> None:
    ds = read_index(folder_from("HF_AUDIO_TAGGER_FACTS") / "eval_segments.csv")
    weights = sample_weights(ds)
    np.testing.assert_allclose(weights[:3], [25.018391629, 16.393442623, 16.393442623], atol=5e-10)
    assert weights.sum() == pytest.approx(519_185.943980, abs=5e-7)
    assert (weights.max(), ds[int(weights.argmax())]["id"]) == (pytest.approx(134.646773022), "AgVZ65Hr9rw")


def test_a_sum_sharpens_the_imbalance_of_a_balanced_set(tmp_path: Path) -> None:
    source = folder_from("HF_AUDIO_TAGGER_FACTS") / "balanced_train_segments.csv"
    command = ["weights", str(source), "--out", str(tmp_path / "w.csv"), "--offset", "AST", "--json"]
    facts = json.loads(CliRunner().invoke(app, command).stdout)
    assert facts["imbalance"] == pytest.approx(105.8, abs=0.05)
    assert facts["imbalance_drawn"] == pytest.approx(146.7, abs=0.05)

"""Recipes: what is read of them, within which limits, and the command that runs them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from recipe_runs import FAILING, META, OPERATOR, invoke, link_clips, write_recipe, write_rows

from hf_audio_tagger.errors import SettingsError
from hf_audio_tagger.recipes import OPERATORS, read_recipe, run_recipe


@pytest.fixture
def folder(tmp_path: Path, clips: dict[str, Path]) -> Path:
    return link_clips(tmp_path, clips)


def test_what_a_recipe_leaves_out(folder: Path) -> None:
    path = folder / "short.json"
    path.write_text(json.dumps({"dataset_path": "x.jsonl", "np": None}))
    recipe = read_recipe(path)
    assert str(recipe.export_path) == "outputs/hello_world/hello_world.jsonl"
    assert (recipe.np, recipe.video_key, recipe.text_keys) == (4, "videos", None)
    assert (recipe.keep_stats_in_res_ds, recipe.skip_op_error, recipe.process) == (False, True, ())
    tagger = OPERATORS[OPERATOR].from_options({}, recipe, print).tagger  # type: ignore[attr-defined]
    assert tagger.model == "MIT/ast-finetuned-audioset-10-10-0.4593"
    assert (tagger.trust_remote_code, tagger.channels, tagger.device) == (False, "first", None)


def test_yaml_is_loaded_safely(folder: Path) -> None:
    path = folder / "evil.yaml"
    path.write_text(f"dataset_path: !!python/object/apply:os.system ['touch {folder}/was_here']\n")
    with pytest.raises(SettingsError, match="could not determine a constructor"):
        read_recipe(path)
    assert not (folder / "was_here").exists()


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ("- a\n", "a recipe must map keys to values; this one is of type list"),
        ("", "this one is empty"),
        ("a: [1", "cannot be parsed"),
        ("np: 2", "dataset_path is missing"),
        ("dataset: {configs: []}", "The key 'dataset' is not read"),
        ("dataset_path: nowhere.jsonl", "there is no file or folder .*nowhere.jsonl"),
        ("dataset_path: recipe.yaml", r"samples are read from \.jsonl"),
        ("dataset_path: x\nnp: 0", "np must be a whole number of at least 1; got 0"),
        ("dataset_path: x\nnp: true", "np must be a whole number of at least 1; got True"),
        ("dataset_path: x\ntext_keys: {a: 1}", "text_keys must be a name or a list of names"),
        (
            "dataset_path: x\nkeep_stats_in_res_ds: 'no'",
            "keep_stats_in_res_ds must be true or false; got 'no'",
        ),
        ("dataset_path: x\nexport_path: out/res", r"must be a file that ends in \.jsonl, \.json, \.parquet"),
        ("dataset_path: x\nexport_path: s3://b/res.jsonl", "export_path must be a local file"),
        ("dataset_path: x\nprocess: op", "process must be a list of operators"),
        ("dataset_path: x\nprocess: [{a: 1, b: 2}]", "an entry of process must be `- operator_name:`"),
        ("dataset_path: x\nprocess: [{a: 1}]", "process: a must be a mapping of options to values"),
        (
            f"dataset_path: x\nprocess: [nsfw_filter: , other: , {OPERATOR}: ]",
            "(?s)an entry of process must be|Unknown",
        ),
        (
            f"dataset_path: x\nprocess: [{OPERATOR}: {{hf_asst: demo}}]",
            "no option 'hf_asst'. It has: accelerator,",
        ),
        (
            f"dataset_path: x\nprocess: [{OPERATOR}: {{accelerator: tpu}}]",
            "accelerator must be one of cpu, cuda; got 'tpu'",
        ),
        (
            f"dataset_path: x\nprocess: [{OPERATOR}: {{trust_remote_code: 1}}]",
            "trust_remote_code must be true or false; got 1",
        ),
        (
            f"dataset_path: x\nprocess: [{OPERATOR}: {{tag_field_name: ''}}]",
            "tag_field_name must be a text that is not empty",
        ),
    ],
)
def test_wrong_recipes_raise(
    folder: Path, monkeypatch: pytest.MonkeyPatch, recipe: str, message: str
) -> None:
    monkeypatch.chdir(folder)
    (folder / "recipe.yaml").write_text(recipe)
    with pytest.raises(SettingsError, match=message):
        run_recipe("recipe.yaml", lambda line: None)


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{after}: &{after} [{', '.join(['*' + before] * 9)}]\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)


MERGES = "a: &a {k: v}\n" + "".join(
    f"n{number}: &n{number} {{<<: [{', '.join([f'*{before}'] * 2)}]}}\n"
    for number, before in enumerate(["a", *(f"n{number}" for number in range(40))])
)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("r.yaml", f"{BOMB}dataset_path: *i\n", "more than 10,000 values"),
        ("r.yaml", f"{BOMB}process: [*i]\n", "more than 10,000 values"),
        ("r.yaml", MERGES, "more than 10,000 values"),
        ("r.yaml", f"a: &a {'x' * 9_999}\nb: [{'*a, ' * 200}]\n", "more than 1,048,576 characters"),
        ("r.yaml", "a: &a [*a]\n", "an alias refers to a value that contains it"),
        ("r.yaml", "[" * 60, "more than 50 levels"),
        ("r.json", "[" * 60 + "]" * 60, "more than 50 levels"),
        ("r.json", "[" * 9_000 + "]" * 9_000, "cannot be parsed"),
        ("r.yaml", "# " + "x" * (1 << 19), "more than 524,288 bytes"),
        ("r.json", '"' + "x" * (1 << 19) + '"', "more than 524,288 bytes"),
    ],
    ids=[
        "bomb",
        "in a list",
        "merges",
        "long",
        "itself",
        "deep",
        "deep json",
        "deeper",
        "large",
        "large json",
    ],
)
def test_a_recipe_that_would_grow_is_refused(folder: Path, name: str, text: str, words: str) -> None:
    (folder / name).write_text(text)
    with pytest.raises(SettingsError, match=words) as refused:
        read_recipe(folder / name)
    assert len(str(refused.value)) < 1_000


def test_aliases_and_merges_that_stay_small_are_read(folder: Path) -> None:
    path = folder / "r.yaml"
    path.write_text(
        "common: &common {hf_ast: demo}\nnames: &names [a, b]\ndataset_path: x\ntext_keys: *names\n"
        f"process:\n  - {OPERATOR}: {{<<: *common, accelerator: cpu}}\n  - {OPERATOR}: *common\n"
    )
    recipe = read_recipe(path)
    assert recipe.text_keys == ("a", "b")
    assert [dict(step.options) for step in recipe.process] == [
        {"hf_ast": "demo", "accelerator": "cpu"},
        {"hf_ast": "demo"},
    ]


def test_a_wrong_value_is_cut_in_its_error(folder: Path) -> None:
    (folder / "r.yaml").write_text(f"dataset_path: x\nnp: [{'word, ' * 3_000}]\n")
    with pytest.raises(
        SettingsError, match=r"np must be a whole number of at least 1; got \['word'.*\."
    ) as refused:
        read_recipe(folder / "r.yaml")
    assert len(str(refused.value)) < 500


def test_unknown_operators_are_named_with_the_known_ones(folder: Path) -> None:
    steps = [{"nsfw_filter": {}}, {OPERATOR: None}, {"text_fixer": None}]
    done = invoke(write_recipe(folder, dataset_path="x", process=steps))
    assert done.exit_code == 1
    unknown = f"Unknown operators: nsfw_filter, text_fixer. Known: {', '.join(sorted(OPERATORS))}. "
    remedy = "Those of an installed py-data-juicer run with its Python: --data-juicer /envs/dj/bin/python."
    assert done.stderr == f"{unknown}{remedy}\n"
    assert OPERATOR in OPERATORS


def test_ignored_keys_have_a_line_each(folder: Path) -> None:
    path = write_rows(folder / "s.jsonl", [{"videos": [], "text": "x"}])
    options = {"batch_size": 3, "num_proc": 2}
    recipe = write_recipe(folder, options, dataset_path=str(path), project_name="p", open_tracer=True)
    done = invoke(recipe)
    assert (done.exit_code, done.stdout.splitlines()[0]) == (
        0,
        "1 samples, 1 tagged, 0 already tagged, 0 EMPTY, 0 failed",
    )
    assert sorted(done.stderr.splitlines()) == [
        "Ignored: open_tracer",
        "Ignored: project_name",
        f"Ignored: {OPERATOR}.batch_size",
        f"Ignored: {OPERATOR}.num_proc",
    ]


def test_a_run_that_cannot_go_on_exits_with_2(folder: Path) -> None:
    path = write_rows(folder / "s.jsonl", FAILING)
    done = invoke(write_recipe(folder, dataset_path=str(path), skip_op_error=False))
    assert done.exit_code == 2
    assert "broken.mp4" in done.stderr
    (folder / "s.jsonl").write_text('{"text": "a"\n')
    done = invoke(write_recipe(folder, dataset_path=str(path)))
    assert (done.exit_code, "the rows cannot be read" in done.stderr) == (2, True)


@pytest.mark.campaign  # takes ten seconds
@pytest.mark.timeout(100)
def test_the_command_in_the_recipes_folder(folder: Path, tmp_path: Path) -> None:
    """As a person runs it: relative paths in the recipe start from the current folder."""
    write_rows(folder / "s.jsonl", [*FAILING[:3], {"videos": ["clips/mute.mp4"], "text": "e"}])
    write_recipe(folder, dataset_path="s.jsonl", export_path="res/res.jsonl", turbo=False)
    environment = {**os.environ, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "hf_audio_tagger", "run", "recipe.yaml", "--json"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3, done.stderr
    assert done.stderr == "Ignored: turbo\n"
    summary = json.loads(done.stdout)
    assert {key: summary[key] for key in ("samples", "tagged", "EMPTY", "failed")} == {
        "samples": 4,
        "tagged": 2,
        "EMPTY": 1,
        "failed": 2,
    }
    assert summary["written"] == ["res/res_stats.jsonl", "res/res_failed.jsonl", "res/res.jsonl"]
    stats = (folder / "res" / "res_stats.jsonl").read_text().splitlines()
    assert [json.loads(line)[META]["video_audio_tags"] for line in stats] == [
        ["Siren"],
        ["Dial tone", None],
        [None],
        ["EMPTY"],
    ]

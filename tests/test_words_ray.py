"""Labels in a user's own words on a real Ray cluster: the rows are those of a run here."""

from pathlib import Path

import pytest
from datasets import Dataset
from ray_clusters import started
from small_runs import rows_of
from word_models import LABELS

from hf_audio_tagger import build_tagger, tag_dataset

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(150)]


def test_a_cluster_tags_with_labels(clap_folder: Path, clips: dict[str, Path], tmp_path: Path) -> None:
    names = ("Siren", "Clicking", "EMPTY", "White noise")
    ds = Dataset.from_dict({"video": [str(clips[name]) for name in names]})
    (tmp_path / "labels.txt").write_text("\n".join(LABELS))
    tagger = build_tagger(clap_folder, labels=tmp_path / "labels.txt", labels_hold="several", device="cpu")
    (tmp_path / "labels.txt").unlink()  # a worker has no need of it
    tag_dataset(ds, tmp_path / "here", tagger)
    with started("one", "two") as nodes:
        tag_dataset(ds, tmp_path / "there", tagger, executor=nodes.executor, shard_rows=2)
    assert rows_of(tmp_path / "there") == rows_of(tmp_path / "here")

"""The tagger as a callable class of a Ray Data pipeline, as the docs show it."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from datasets import Dataset
from ray_clusters import Nodes, started
from small_runs import write_clips

from hf_audio_tagger import Tagger, build_tagger

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(150)]


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    with started("head", cpus=2) as nodes:
        yield nodes


def test_the_tagger_in_map_batches(nodes: Nodes, tmp_path: Path) -> None:
    import ray
    from ray.data import ActorPoolStrategy

    paths = [str(path) for path in sorted(write_clips(tmp_path / "clips").iterdir())]
    settings = {"model": "demo", "top_k": 3, "on_error": "record", "device": "cpu"}
    expected = Dataset.from_dict({"video": paths}).map(build_tagger(**settings), batched=True, batch_size=5)
    ray.init(nodes.executor.address, log_to_driver=False)
    try:
        context = ray.data.DataContext.get_current()
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False
        rows = ray.data.from_arrow(pa.table({"video": paths}))
        tagged = rows.map_batches(
            Tagger,
            fn_constructor_kwargs=settings,
            batch_format="pyarrow",
            batch_size=5,
            compute=ActorPoolStrategy(size=2),
            num_cpus=1,
        )
        taken = pa.Table.from_pylist(tagged.take_all())
    finally:
        ray.shutdown()
    assert taken.column_names == expected.column_names
    assert taken["video"].to_pylist() == paths
    assert taken["video_audio_tags"].to_pylist() == expected["video_audio_tags"][:]
    shown = [
        [[one["label"] for one in clip or []] for clip in row] for row in taken["video_audio_top"].to_pylist()
    ]
    assert shown == [
        [[one["label"] for one in clip or []] for clip in row] for row in expected["video_audio_top"]
    ]

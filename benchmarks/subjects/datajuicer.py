"""The peer's operator, in the peer's environment: nothing of ours is imported here."""

from data_juicer.ops.mapper.video_tagging_from_audio_mapper import VideoTaggingFromAudioMapper
from data_juicer.utils.constant import Fields, MetaKeys

from benchmarks.subjects.serving import Job, Run, serve


def prepare(settings: Job) -> Run:
    operator = VideoTaggingFromAudioMapper(hf_ast=settings["model"], accelerator="cpu")

    def tag(video: str) -> str:
        sample = operator.process_single({"videos": [video], Fields.meta: {}})
        return str(sample[Fields.meta][MetaKeys.video_audio_tags][0])

    tag(settings["warm"])
    return lambda job: {"tags": [tag(video) for video in job["videos"]]}


if __name__ == "__main__":
    serve(prepare)

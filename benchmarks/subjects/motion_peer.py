"""The peer's motion filter, in the peer's environment: nothing of ours is imported here."""

from data_juicer.ops.filter.video_motion_score_filter import VideoMotionScoreFilter
from data_juicer.utils.constant import Fields, StatsKeys

from benchmarks.subjects.serving import Job, Run, serve


def prepare(settings: Job) -> Run:
    operator = VideoMotionScoreFilter()

    def score(video: str) -> float:
        sample = operator.compute_stats_single({"videos": [video], Fields.stats: {}})
        return float(sample[Fields.stats][StatsKeys.video_motion_score][0])

    return lambda job: {"values": [score(video) for video in job["videos"]]}


if __name__ == "__main__":
    serve(prepare)

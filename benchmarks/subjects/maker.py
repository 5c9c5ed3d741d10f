"""Makes media and weights: not measured, but in a process of its own, so that the parent stays small."""

import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream

from benchmarks.subjects.serving import Job, Run, serve
from hf_audio_tagger.demo.sounds import LABELS, synthesize
from hf_audio_tagger.demo.videos import write_video

RATE_HZ = 44_100
SEED = 20_261
AUDIO_BITS_PER_SECOND = 128_000
FPS, WIDTH, HEIGHT = 25, 320, 180


def prepare(_: Job) -> Run:
    return lambda job: MAKERS[job.pop("kind")](**job) or {}


def make_clip(path: str, seconds: int, codec: str, seed: int) -> None:
    """Moving stripes, and another sound in each channel that changes every few seconds."""
    rng = np.random.default_rng((SEED, seed))
    labels = rng.permutation(LABELS)
    pieces = [seconds / 4] * 4

    def channel(offset: int) -> np.ndarray:
        parts = [
            synthesize(labels[(index + offset) % len(labels)], piece, RATE_HZ, seed)
            for index, piece in enumerate(pieces)
        ]
        return np.concatenate(parts)

    sound = np.stack([channel(0), channel(2)])
    with av.open(path, "w", format="mp4") as container:
        video = container.add_stream(codec, rate=FPS)
        assert isinstance(video, VideoStream)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        if codec == "libx264":
            video.options = {"preset": "ultrafast"}
        audio = container.add_stream("aac", rate=RATE_HZ, layout="stereo")
        audio.bit_rate = AUDIO_BITS_PER_SECOND
        for index in range(seconds * FPS):
            picture = av.VideoFrame.from_ndarray(stripes(index), format="gray").reformat(format="yuv420p")
            picture.pts = index
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound), format="fltp", layout="stereo")
        frame.sample_rate = RATE_HZ
        container.mux(audio.encode(frame))
        container.mux(audio.encode(None))


def stripes(index: int) -> np.ndarray:
    line = 128 + 100 * np.sin((np.arange(WIDTH) + 3 * index) / 20)
    return np.ascontiguousarray(np.broadcast_to(line, (HEIGHT, WIDTH)).astype(np.uint8))


def make_long(path: str, minute: str, seconds: int) -> None:
    """The packets of a minute over and over: an hour is not encoded, only written."""
    with av.open(path, "w", format="mp4") as target:
        ends: dict[int, int] = {}
        targets = {}
        for turn in range(max(1, seconds // 60)):
            with av.open(minute) as source:
                streams = [source.streams.video[0], source.streams.audio[0]]
                if turn == 0:
                    targets = {stream.index: target.add_stream_from_template(stream) for stream in streams}
                begins = dict(ends)
                for packet in source.demux(streams):
                    if packet.dts is None or packet.pts is None or packet.duration is None:
                        continue  # the end of a stream
                    index, begin = packet.stream.index, begins.get(packet.stream.index, 0)
                    packet.pts, packet.dts = packet.pts + begin, packet.dts + begin
                    ends[index] = max(ends.get(index, 0), packet.dts + packet.duration)
                    packet.stream = targets[index]
                    target.mux(packet)


def make_tiny(path: str, count: int) -> None:
    folder = Path(path)
    folder.mkdir()
    for index in range(count):
        sound = synthesize(LABELS[index % len(LABELS)], 1 + index % 5 / 2, RATE_HZ, SEED + index)
        write_video(folder / f"{index:05d}.mp4", sound, RATE_HZ, picture_seed=index)


def make_variants(path: str, source: str, count: int) -> None:
    """The packets of a file, those of its sound in another order each time: the same work, no sound twice."""
    folder = Path(path)
    folder.mkdir()
    with av.open(source) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        packets = [packet for packet in container.demux([video, audio]) if packet.dts is not None]
        sounds = [bytes(packet) for packet in packets if packet.stream is audio]
        for index in range(count):
            order = iter(np.random.default_rng((SEED, index)).permutation(len(sounds)).tolist())
            with av.open(str(folder / f"{index:05d}.mp4"), "w") as target:
                streams = {stream.index: target.add_stream_from_template(stream) for stream in (video, audio)}
                for packet in packets:
                    copy = av.Packet(sounds[next(order)] if packet.stream is audio else bytes(packet))
                    copy.pts, copy.dts, copy.duration = packet.pts, packet.dts, packet.duration
                    copy.time_base, copy.is_keyframe = packet.time_base, packet.is_keyframe
                    copy.stream = streams[packet.stream.index]
                    target.mux(copy)


def make_ast(path: str, size: str) -> None:
    """Random weights, and a classifier that is drawn wide and centred: clips differ in their tag."""
    import torch
    from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification

    from hf_audio_tagger import ontology

    torch.manual_seed(SEED)
    config = ASTConfig(num_labels=527)  # type: ignore[call-arg]  # an argument of every config
    if size == "ast-tiny":
        config.hidden_size, config.num_hidden_layers, config.num_attention_heads = 48, 2, 2
    config.id2label = {index: kind.name for index, kind in enumerate(ontology.audioset_classes())}
    config.label2id = {name: index for index, name in config.id2label.items()}
    model = ASTForAudioClassification(config).eval()
    extractor = ASTFeatureExtractor()
    with torch.no_grad():
        model.classifier.dense.weight.normal_()
        # Random layers give all sounds nearly one state; what they share would decide every tag.
        sounds = [synthesize(label, 10.0, extractor.sampling_rate, SEED) for label in LABELS[::3]]
        features = extractor(sounds, sampling_rate=extractor.sampling_rate, return_tensors="pt")
        model.classifier.dense.bias.sub_(model(**features).logits.mean(0))
    model.save_pretrained(path)
    extractor.save_pretrained(path)


def make_yamnet(path: str) -> None:
    """Random weights in the layout of the release, under which the signal survives every layer."""
    import torch

    from hf_audio_tagger.models.networks.yamnet import Yamnet

    torch.manual_seed(SEED)
    network = Yamnet()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        network(torch.randn(8, 96, 64))  # in training mode: sets the running statistics
    torch.save(network.state_dict(), path)


def make_recipe_media(path: str) -> None:
    from benchmarks.subjects.recipe_media import make_materials

    os.mkdir(path)
    make_materials(Path(path))


def make_words(path: str, count: int) -> None:
    """Two seconds of lines of words on a rough ground, in several sizes."""
    from hf_audio_tagger.media.opencv import load_opencv

    cv2 = load_opencv()
    folder = Path(path)
    folder.mkdir()
    words = [
        "motion",
        "text",
        "every",
        "video",
        "frame",
        "area",
        "ratio",
        "filter",
        "sound",
        "number",
        "seven",
    ]
    for index in range(count):
        rng = np.random.default_rng((SEED, index))
        ground = cv2.resize(rng.integers(30, 120, (9, 16), np.uint8), (640, 360))
        scale = float(rng.uniform(0.7, 1.8))
        for line in range(index % 8):
            written = " ".join(rng.choice(words, int(rng.integers(1, 4))))
            place = (int(rng.integers(5, 80)), 45 + 45 * line)
            cv2.putText(ground, written, place, cv2.FONT_HERSHEY_SIMPLEX, scale, 240, 2)
        with av.open(str(folder / f"{index:03d}.mp4"), "w") as container:
            video = container.add_stream("mpeg4", rate=5)
            assert isinstance(video, VideoStream)
            video.width, video.height, video.pix_fmt = 640, 360, "yuv420p"
            video.bit_rate = 2_000_000
            for _ in range(10):
                picture = av.VideoFrame.from_ndarray(ground, format="gray").reformat(format="yuv420p")
                container.mux(video.encode(picture))
            container.mux(video.encode(None))


def make_frames(path: str, source: str, count: int) -> None:
    """Pictures from all over a video, an mp4 file each, without a loss."""
    folder = Path(path)
    folder.mkdir()
    with av.open(source) as container:
        total = container.streams.video[0].frames
        wanted = {round((index + 0.5) * total / count) for index in range(count)}
        for index, picture in enumerate(container.decode(video=0)):
            if index in wanted:
                write_picture(folder / f"{index:05d}.mp4", picture)


def write_picture(path: Path, picture: av.VideoFrame) -> None:
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FPS, options={"qp": "0"})
        assert isinstance(video, VideoStream)
        video.width, video.height, video.pix_fmt = picture.width, picture.height, "yuv420p"
        still = picture.reformat(format="yuv420p")
        still.pts, still.time_base = 0, Fraction(1, FPS)
        container.mux(video.encode(still))
        container.mux(video.encode(None))


MAKERS: dict[str, Callable[..., None]] = {
    "clip": make_clip,
    "long": make_long,
    "tiny": make_tiny,
    "variants": make_variants,
    "ast": make_ast,
    "yamnet": make_yamnet,
    "recipes": make_recipe_media,
    "words": make_words,
    "frames": make_frames,
}

if __name__ == "__main__":
    serve(prepare)

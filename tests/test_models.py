"""The models' answers against transformers and torchaudio themselves."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torchaudio
import transformers
from transformers import (
    ASTConfig,
    ASTFeatureExtractor,
    ASTForAudioClassification,
    AutoFeatureExtractor,
    AutoModelForAudioClassification,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForSequenceClassification,
    WhisperForAudioClassification,
)

from hf_audio_tagger import ModelError, build_tagger
from hf_audio_tagger.demo import CHECKPOINT
from hf_audio_tagger.models import ModelSpec, get_model, load
from hf_audio_tagger.models.front_ends.kaldi import FilterBank
from hf_audio_tagger.models.networks.ast import LastLayer, prune_last_layer

CPU = torch.device("cpu")


def noise(seconds: float, seed: int, rate_hz: int = 16_000) -> np.ndarray:
    rng = np.random.default_rng(seed)
    tone = np.sin(np.arange(round(seconds * rate_hz)) * rng.uniform(0.02, 0.5))
    return (0.3 * rng.standard_normal(len(tone)) + 0.5 * tone).astype(np.float32)


def save_ast(folder: Path, seed: int, **config: object) -> Path:
    torch.manual_seed(seed)
    settings = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96}
    model = ASTForAudioClassification(ASTConfig(num_labels=7, **{**settings, **config}))  # type: ignore[arg-type]
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def ast_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = save_ast(tmp_path_factory.mktemp("ast"), seed=1)
    ASTFeatureExtractor(mean=-3.1, std=2.7).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def short_ast_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another rate, other bands, another length: nothing of AST-base's numbers is built in."""
    folder = save_ast(tmp_path_factory.mktemp("short_ast"), seed=2, max_length=256, num_mel_bins=64)
    extractor = ASTFeatureExtractor(sampling_rate=8_000, num_mel_bins=64, max_length=256, do_normalize=False)
    extractor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def wav2vec2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Group norm: padded sound would get another answer."""
    folder = tmp_path_factory.mktemp("wav2vec2")
    torch.manual_seed(3)
    config = Wav2Vec2Config(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        conv_dim=(16,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
        classifier_proj_size=24,
        num_labels=5,
    )
    Wav2Vec2ForSequenceClassification(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(return_attention_mask=False).save_pretrained(folder)
    return folder


def reference(folder: Path, waveform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logits and the classifier's input by transformers' own classes alone."""
    extractor = AutoFeatureExtractor.from_pretrained(folder)
    model = AutoModelForAudioClassification.from_pretrained(folder, dtype=torch.float32).eval()
    pooled = []
    model.classifier.register_forward_pre_hook(lambda _, inputs: pooled.append(inputs[0]))
    inputs = extractor(waveform, sampling_rate=extractor.sampling_rate, return_tensors="pt")
    with torch.no_grad():
        logits = model(**inputs).logits
    return logits[0].numpy(), pooled[0][0].numpy()


FOLDERS = ["ast_folder", "short_ast_folder", "wav2vec2_folder", "whisper_folder", "demo"]


def folder_of(name: str, request: pytest.FixtureRequest) -> Path:
    return CHECKPOINT if name == "demo" else request.getfixturevalue(name)


@pytest.mark.parametrize("name", FOLDERS)
@pytest.mark.parametrize("seconds", [0.9, 4.0, 10.24])
def test_logits_and_embeddings_are_those_of_transformers(
    name: str, seconds: float, request: pytest.FixtureRequest
) -> None:
    folder = folder_of(name, request)
    model = get_model(ModelSpec(str(folder)))
    waveform = noise(seconds, seed=5, rate_hz=model.rate_hz)[: model.window_samples]
    logits, pooled = reference(folder, waveform)
    output = model.predict([waveform])
    assert np.abs(output.logits[0] - logits).max() < 1e-4
    assert output.embeddings is not None
    assert output.embeddings.shape == (1, model.embedding_size)
    assert np.abs(output.embeddings[0] - pooled).max() < 1e-4


@pytest.mark.parametrize("name", FOLDERS)
def test_outputs_do_not_depend_on_the_other_windows(name: str, request: pytest.FixtureRequest) -> None:
    model = get_model(ModelSpec(str(folder_of(name, request))))
    waveforms = [
        noise(seconds, seed, model.rate_hz) for seed, seconds in enumerate((1.0, 2.5, 0.2, 2.5, 2.0))
    ]
    alone = np.concatenate([model.predict([one]).logits for one in waveforms])
    together = model.predict(waveforms).logits
    backwards = model.predict(waveforms[::-1]).logits[::-1]
    assert np.abs(together - alone).max() < 1e-5
    assert np.abs(backwards - alone).max() < 1e-5
    assert np.array_equal(model.predict(waveforms).logits, together)


@pytest.mark.parametrize("is_large", [False, True])
def test_outputs_do_not_depend_on_threads(
    ast_folder: Path, is_large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two cores each gets a few windows (of a large model: one), and the rest goes to both."""
    waveforms = [noise(0.5, seed) for seed in range(9)]
    expected = np.stack([reference(ast_folder, one)[0] for one in waveforms])
    if is_large:
        monkeypatch.setattr("hf_audio_tagger.models.transformers_model.LARGE_PARAMETERS", 0)
    torch.set_num_threads(2)
    try:
        output = load(ModelSpec(str(ast_folder)), CPU).predict(waveforms)
    finally:
        torch.set_num_threads(1)
    assert np.abs(output.logits - expected).max() < 1e-4
    assert output.embeddings is not None
    assert output.embeddings.shape == (9, 48)


def test_tag_is_the_top_label_of_transformers(ast_folder: Path) -> None:
    waveforms = [noise(5.0, seed) for seed in range(6)]
    model = AutoModelForAudioClassification.from_pretrained(ast_folder)
    expected = [model.config.id2label[int(reference(ast_folder, one)[0].argmax())] for one in waveforms]
    tagger = build_tagger(ast_folder)
    assert tagger.tag([{"array": one, "sampling_rate": 16_000} for one in waveforms]) == expected
    assert tagger.labels == tuple(model.config.id2label.values())


@pytest.mark.parametrize(("rate_hz", "bands"), [(16_000, 128), (8_000, 64), (22_050, 80)])
def test_filter_bank_is_kaldis(rate_hz: int, bands: int) -> None:
    waveforms = torch.from_numpy(np.stack([noise(1.7, seed, rate_hz) for seed in range(3)]))
    batch = FilterBank(rate_hz, bands, CPU).log_mel(waveforms)
    for waveform, ours in zip(waveforms, batch, strict=True):
        theirs = torchaudio.compliance.kaldi.fbank(
            waveform[None], sample_frequency=rate_hz, window_type="hanning", num_mel_bins=bands
        )
        assert ours.shape == theirs.shape
        assert (ours - theirs).abs().max() < 1e-4


def test_silence_is_finite_and_equal_to_kaldis() -> None:
    ours = FilterBank(16_000, 128, CPU).log_mel(torch.zeros(1, 16_000))
    theirs = torchaudio.compliance.kaldi.fbank(
        torch.zeros(1, 16_000), window_type="hanning", num_mel_bins=128
    )
    assert torch.equal(ours[0], theirs)


def test_pruning_the_last_layer_changes_no_logit(ast_folder: Path) -> None:
    plain = ASTForAudioClassification.from_pretrained(ast_folder).eval()
    pruned = ASTForAudioClassification.from_pretrained(ast_folder).eval()
    assert prune_last_layer(pruned)
    assert isinstance(pruned.audio_spectrogram_transformer.layers[-1], LastLayer)
    features = torch.randn(3, 1024, 128, generator=torch.Generator().manual_seed(6))
    with torch.no_grad():
        assert (plain(features).logits - pruned(features).logits).abs().max() < 1e-5


def test_only_a_known_last_layer_is_pruned(whisper_folder: Path) -> None:
    class MyAst(ASTForAudioClassification):
        pass

    mine = MyAst(ASTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=1, intermediate_size=16))
    assert not prune_last_layer(mine)
    assert not prune_last_layer(WhisperForAudioClassification.from_pretrained(whisper_folder))
    known = ASTForAudioClassification(mine.config)
    known.audio_spectrogram_transformer.layers[-1].attention = torch.nn.Identity()
    assert not prune_last_layer(known)


def test_scores_are_sigmoids_for_audioset_and_for_multi_label_configs(
    ast_folder: Path, tmp_path: Path
) -> None:
    assert not get_model(ModelSpec(str(ast_folder))).multi_label  # LABEL_0 ...: a softmax
    assert get_model(ModelSpec("demo")).multi_label
    model = ASTForAudioClassification.from_pretrained(ast_folder)
    names = ("Speech", "Music", "Dog", "Cat", "Siren", "Engine", "Rain")
    model.config.id2label = dict(enumerate(names))
    model.config.label2id = {name: index for index, name in enumerate(names)}
    model.save_pretrained(tmp_path / "audioset")
    ASTFeatureExtractor().save_pretrained(tmp_path / "audioset")
    assert get_model(ModelSpec(str(tmp_path / "audioset"))).multi_label
    model.config.problem_type = "single_label_classification"
    model.save_pretrained(tmp_path / "single")
    ASTFeatureExtractor().save_pretrained(tmp_path / "single")
    assert not get_model(ModelSpec(str(tmp_path / "single"))).multi_label


def test_windows_have_the_models_length(
    ast_folder: Path, short_ast_folder: Path, wav2vec2_folder: Path, whisper_folder: Path
) -> None:
    windows = {
        ast_folder: (164_080, 163_840),  # 1,024 frames of 400 every 160 samples
        short_ast_folder: (20_600, 20_480),
        wav2vec2_folder: (160_000, 160_000),
        whisper_folder: (480_000, 480_000),
    }
    for folder, expected in windows.items():
        model = get_model(ModelSpec(str(folder)))
        assert (model.window_samples, model.hop_samples) == expected


@pytest.mark.parametrize("name", FOLDERS)
def test_twenty_milliseconds_are_enough(name: str, request: pytest.FixtureRequest) -> None:
    tagger = build_tagger(folder_of(name, request))
    assert tagger.tag({"array": noise(0.02, 7), "sampling_rate": 16_000}) in tagger.labels


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "auto"])
def test_half_precision_names_the_same_sounds(dtype: str) -> None:
    waveforms = [noise(3.0, seed) for seed in range(8)]
    full = get_model(ModelSpec("demo")).predict(waveforms).logits
    half = get_model(ModelSpec("demo", dtype=dtype)).predict(waveforms).logits
    assert half.dtype == np.float32
    assert np.abs(half - full).max() < 0.5
    assert (half.argmax(1) == full.argmax(1)).mean() >= 0.75
    if dtype != "auto":
        assert np.abs(half - full).max() > 0  # it did compute in another precision


def test_a_model_that_cannot_be_had_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError) as caught:
        build_tagger("nobody/no-such-model").tag({"array": noise(1.0, 1), "sampling_rate": 16_000})
    for words in ("nobody/no-such-model", "hf download nobody", 'build_tagger("yamnet") is packaged'):
        assert words in str(caught.value)


def test_a_checkpoint_of_another_kind_is_refused(tmp_path: Path) -> None:
    transformers.BertConfig().save_pretrained(tmp_path)
    ASTFeatureExtractor().save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    with pytest.raises(ModelError, match="cannot be loaded"):
        build_tagger(tmp_path).tag({"array": noise(1.0, 1), "sampling_rate": 16_000})


def test_a_checkpoint_without_a_trained_classifier_is_refused(ast_folder: Path, tmp_path: Path) -> None:
    body = ASTForAudioClassification.from_pretrained(ast_folder).audio_spectrogram_transformer
    body.save_pretrained(tmp_path)
    ASTFeatureExtractor().save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"no trained weights.*not trained to classify"):
        build_tagger(tmp_path).tag({"array": noise(1.0, 1), "sampling_rate": 16_000})

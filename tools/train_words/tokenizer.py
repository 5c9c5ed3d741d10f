"""A tokenizer of RoBERTa's kind, made of the training texts: bytes, merged to their frequent sequences."""

import numpy as np
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from hf_audio_tagger.demo.sounds import LABELS
from tools.train_words.texts import list_other_names, write_text

SEED = 31
TEXTS_A_SOUND = 400
VOCABULARY = 1_600
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")  # with RoBERTa's ids


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Bytes, so that any text has tokens; letters in lower case, and a word alike wherever it stands."""
    rng = np.random.default_rng(SEED)
    texts = [write_text(label, rng) for label in LABELS for _ in range(TEXTS_A_SOUND)] + list_other_names()
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=True)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        sep_token="</s>",
        cls_token="<s>",
        unk_token="<unk>",
        pad_token="<pad>",
        mask_token="<mask>",
        model_max_length=64,
    )

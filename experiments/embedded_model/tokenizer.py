"""Trains the byte-level BPE tokenizer and saves it in the Hugging Face layout.

The pre-tokeniser keeps combining marks with their letters (the GPT-2 pattern splits them
off) and digits single, and a newline is always a token of its own: a document can then be
cut into its sentences by token. `<s>` is added in front like Llama does, which gives the
model an attention sink at a fixed place.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import config
import corpus
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

PATTERN = r" ?[\p{L}\p{M}]+|\p{N}|\n| ?[^\s\p{L}\p{M}\p{N}]+|[^\S\n]+(?!\S)|[^\S\n]+"


def sample(code: str) -> list[str]:
    """A domain-balanced sample; free text stands in where a language has no Bible."""
    rng = random.Random(f"{config.SEED}-{code}")
    pools: dict[str, list[str]] = {domain: [] for domain in config.TOKENIZER_LINES}
    for line in corpus.train_lines(code):
        pools[line.domain].append(line.text)
    chosen: list[str] = []
    for domain, count in config.TOKENIZER_LINES.items():
        pool = pools[domain] or pools["free"]
        chosen += rng.sample(pool, min(count, len(pool)))
    return chosen


def sampled_lines() -> Iterator[str]:
    """The tokenizer's training text, language after language."""
    for code in config.LANGUAGES:
        yield from sample(code)


def build() -> Tokenizer:
    """An untrained byte-level BPE: every string can be encoded and comes back unchanged."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def train() -> Tokenizer:
    """Trains the merges and adds the post-processor that puts `<s>` in front."""
    tokenizer = build()
    trainer = trainers.BpeTrainer(
        vocab_size=config.VOCAB_SIZE,
        special_tokens=[config.BOS, config.EOS, config.PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=config.MAX_TOKEN_BYTES,
        show_progress=False,
    )
    tokenizer.train_from_iterator(sampled_lines(), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{config.BOS} $A",
        pair=f"{config.BOS} $A {config.BOS}:1 $B:1",
        special_tokens=[(config.BOS, tokenizer.token_to_id(config.BOS))],
    )
    return tokenizer


def save(tokenizer: Tokenizer, folder: Path) -> None:
    """Writes the files and names the generic fast class, which changes nothing on loading."""
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=config.BOS,
        eos_token=config.EOS,
        pad_token=config.PAD,
        padding_side="right",
        model_max_length=config.POSITIONS,
        clean_up_tokenization_spaces=False,
        model_input_names=["input_ids", "attention_mask"],
    )
    wrapped.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    path.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def check(tokenizer: Tokenizer, folder: Path) -> None:
    """Fails if the reloaded tokenizer differs or if text does not survive a round trip."""
    loaded = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    for code in config.LANGUAGES:
        texts = corpus.flores(code, "dev", 50)
        size = tokens = 0
        for text in [*texts, "  a\n\n b\t" + texts[0]]:
            ids = loaded(text)["input_ids"]
            assert ids == tokenizer.encode(text).ids, (code, text)
            assert loaded.decode(ids, skip_special_tokens=True) == text, (code, text)
            size, tokens = size + len(text.encode("utf-8")), tokens + len(ids)
        print(f"{code}: {size / tokens:.2f} bytes a token, {tokens / len(texts):.1f} tokens a line")


def main() -> None:
    """Train, save, check."""
    tokenizer = train()
    config.TOKENIZER_DIR.mkdir(parents=True, exist_ok=True)
    save(tokenizer, config.TOKENIZER_DIR)
    check(tokenizer, config.TOKENIZER_DIR)


if __name__ == "__main__":
    main()

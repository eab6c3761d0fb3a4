"""Writes the model card from the evaluation's JSON, so that no number is typed by hand."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import config
from safetensors import safe_open

HEAD = """---
license: cc-by-4.0
library_name: transformers
pipeline_tag: text-generation
language: [en, de, fr, es, ru, el, ja, zh, ko, vi, fi, ar]
---

# mechsteer embedded model

An {parameters:.1f} M parameter multilingual decoder ({layers} layers, width {width}, {heads} heads,
{vocabulary} byte-level BPE tokens, `LlamaForCausalLM`, bfloat16), made for mechsteer's offline
demo and tests: big enough to have language neurons, small enough for a wheel. It is **not**
useful as a language model: it knows course and Bible prose and little else.

## Use

`<s>` is added by the tokenizer. A prompt of a sentence and a newline continues with its
translation or with the text. Trained on rows of {row} tokens; do not go beyond {row}.

## Training

From scratch on 2 CPU cores: {tokens:.1f} M tokens in {minutes:.0f} minutes ({steps} steps),
with Muon for the matrices and AdamW for the rest. Documents are translations (a sentence, a
newline, the same in one or two other languages, language pairs uniform; {translation:.0%} of
tokens) and passages in one language. Languages have equal tokens within a few per cent.
Sources: public-domain Bibles; machine-translated Microsoft course materials (MIT / CC0); Open
Source Guides (CC-BY 4.0); Common Voice sentences (CC0). No FLORES-200 or Tatoeba sentence was
trained on. One per cent of sentences (by a hash of the id, the same in all languages) was held
out.

## Limits

Arabic has no Bible text here, so domain and language are confounded for it. Course texts are
machine translations. Outputs may be false, and religious in tone; do not deploy the model.

The code is in `experiments/embedded_model` of the mechsteer repository.

## Bits per byte

`unigram` is the add-one smoothed token distribution of the language's training stream with the
same tokenizer; `ratio` is model / unigram. Each sentence stands alone after `<s>`.
"""


def bits_table(results: dict) -> str:
    """One row for each language: held-out text and FLORES-200 dev."""
    sets = results["bits_per_byte"]
    rows = [
        "| language | held-out model | unigram | ratio | FLORES dev model | unigram | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    for code in config.LANGUAGES:
        cells = [
            f"{sets[name][code][key]:.3f}"
            for name in ("held_out", "flores_dev")
            for key in ("model", "unigram", "ratio")
        ]
        rows.append(f"| {code} | " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"


def retrieval_table(results: dict) -> str:
    """One row for each set and kind of vector, one column for each layer."""
    found = results["retrieval"]
    layers = list(next(iter(found.values()))["raw"])
    rows = [
        "| set | sentences | chance | vectors | " + " | ".join(layers) + " |",
        "|---" * (4 + len(layers)) + "|",
    ]
    for name, scores in found.items():
        for kind in ("raw", "centred"):
            cells = " | ".join(f"{scores[kind][layer]:.1%}" for layer in layers)
            count = scores["sentences"]
            rows.append(f"| {name} | {count} | {1 / count:.1%} | {kind} | {cells} |")
    return "\n".join(rows) + "\n"


def parameters(folder: Path) -> int:
    """Counts the weights in the file; tied embeddings are stored once."""
    with safe_open(folder / "model.safetensors", "np") as file:
        shapes = [file.get_slice(key).get_shape() for key in file.keys()]  # noqa: SIM118
    total = 0
    for shape in shapes:
        size = 1
        for side in shape:
            size *= side
        total += size
    return total


def head(results: dict, folder: Path) -> str:
    """The prose with the facts of this run."""
    facts = results["training"]
    kinds = facts["data"]["tokens_by_kind"]
    return HEAD.format(
        parameters=parameters(folder) / 1e6,
        layers=config.LAYERS,
        width=config.HIDDEN,
        heads=config.HEADS,
        vocabulary=config.VOCAB_SIZE,
        row=config.ROW_TOKENS,
        tokens=facts["tokens"] / 1e6,
        minutes=facts["elapsed"] / 60,
        steps=facts["step"],
        translation=kinds["translation"] / sum(kinds.values()),
    )


def render(results: dict, folder: Path) -> str:
    """The whole card."""
    retrieval = (
        "\n## Retrieval of translations\n\nTop-1 by cosine of the mean residual stream over real"
        " tokens without `<s>`, averaged over\nordered language pairs; `centred` takes each"
        " language's mean out first.\n\n"
    )
    return head(results, folder) + "\n" + bits_table(results) + retrieval + retrieval_table(results)


def main() -> None:
    """Writes the card again from existing results, without measuring."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=config.MODEL_DIR)
    parser.add_argument("--results", type=Path, default=config.RESULTS_FILE)
    options = parser.parse_args()
    results = json.loads(options.results.read_text(encoding="utf-8"))
    (options.model / "README.md").write_text(render(results, options.model), encoding="utf-8")


if __name__ == "__main__":
    main()

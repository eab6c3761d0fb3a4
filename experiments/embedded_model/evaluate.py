"""Measures the model: bits per byte against a token unigram, and retrieval of translations.

Bits per byte can be compared between languages and tokenizers, unlike loss per token; the
unigram with the same tokenizer shows how much of it is more than knowing frequent tokens.
Retrieval shows at which layer sentences of different languages lie close together.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import card
import config
import corpus
import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

BATCH = 16
Batch = tuple[list[int], torch.Tensor, torch.Tensor]


class Evaluator:
    """The exported model with its tokenizer, in float32, as a user loads it."""

    def __init__(self, folder: Path) -> None:
        """Loads from a folder only, never from the network."""
        self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True
        ).eval()
        self.unigram = np.load(config.UNIGRAM_FILE)

    def batches(self, texts: list[str]) -> Iterator[Batch]:
        """(positions of the texts, ids, mask), similar lengths together to save padding."""
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        for start in range(0, len(order), BATCH):
            part = order[start : start + BATCH]
            coded = self.tokenizer([texts[i] for i in part], padding=True, return_tensors="pt")
            yield part, coded["input_ids"], coded["attention_mask"]

    def fitting(self, texts: list[str]) -> list[str]:
        """Leaves out what is longer than a training row, so that no text is cut."""
        coded = self.tokenizer(texts)["input_ids"]
        return [t for t, ids in zip(texts, coded, strict=True) if len(ids) <= config.ROW_TOKENS]

    @torch.inference_mode()
    def nats(self, texts: list[str]) -> float:
        """The model's negative log-likelihood of the texts, each alone after `<s>`."""
        total = 0.0
        for _, ids, mask in self.batches(texts):
            logits = self.model(input_ids=ids, attention_mask=mask).logits[:, :-1]
            scores = logits.log_softmax(-1).gather(-1, ids[:, 1:, None]).squeeze(-1)
            total -= float((scores * mask[:, 1:]).sum())
        return total

    def unigram_nats(self, texts: list[str], code: str) -> float:
        """The same under the language's add-one smoothed token frequencies."""
        counts = self.unigram[code] + 1.0
        scores = np.log(counts / counts.sum())
        coded = self.tokenizer(texts, add_special_tokens=False)["input_ids"]
        return -float(sum(scores[ids].sum() for ids in coded))

    def bits_per_byte(self, texts: list[str], code: str) -> dict[str, float]:
        """Both models' bits per byte of UTF-8 and their ratio."""
        texts = self.fitting(texts)
        bits = math.log(2) * sum(len(text.encode("utf-8")) for text in texts)
        model, unigram = self.nats(texts) / bits, self.unigram_nats(texts, code) / bits
        return {"model": model, "unigram": unigram, "ratio": model / unigram, "texts": len(texts)}

    @torch.inference_mode()
    def vectors(self, texts: list[str]) -> torch.Tensor:
        """[embedding and blocks, texts, width]: the mean over real tokens without `<s>`.

        Hooks read the residual stream itself: transformers' last hidden state is normalised.
        """
        found: list[torch.Tensor] = []
        modules = [self.model.model.embed_tokens, *self.model.model.layers]
        hooks = [m.register_forward_hook(lambda *a: found.append(a[2])) for m in modules]
        result = torch.empty(len(modules), len(texts), self.model.config.hidden_size)
        for part, ids, mask in self.batches(texts):
            found.clear()
            self.model.model(input_ids=ids, attention_mask=mask, use_cache=False)
            weight = mask.float()
            weight[:, 0] = 0
            pooled = torch.einsum("lbtd,bt->lbd", torch.stack(found), weight)
            result[:, part] = pooled / weight.sum(1)[None, :, None]
        for hook in hooks:
            hook.remove()
        return result

    def retrieval(self, texts: dict[str, list[str]]) -> dict[str, object]:
        """Top-1 accuracy by layer, raw and with each language's mean taken out."""
        raw = {code: self.vectors(lines) for code, lines in texts.items()}
        centred = {code: v - v.mean(1, keepdim=True) for code, v in raw.items()}
        result: dict[str, object] = {"sentences": len(next(iter(texts.values())))}
        for name, vectors in (("raw", raw), ("centred", centred)):
            unit = {c: torch.nn.functional.normalize(v, dim=-1) for c, v in vectors.items()}
            scores = torch.stack([top_1(unit[a], unit[b]) for a, b in permutations(unit, 2)])
            result[name] = dict(
                zip(layer_names(len(scores[0])), scores.mean(0).tolist(), strict=True)
            )
        return result


def top_1(queries: torch.Tensor, candidates: torch.Tensor) -> torch.Tensor:
    """By layer, the share of queries whose nearest candidate is their translation."""
    best = (queries @ candidates.transpose(1, 2)).argmax(-1)
    return (best == torch.arange(best.shape[1])).float().mean(1)


def layer_names(count: int) -> list[str]:
    """'embedding', then 'block 0' and so on."""
    return ["embedding", *(f"block {index}" for index in range(count - 1))]


def embedded_sentences(split: str) -> dict[str, list[str]]:
    """The demo's sentences, if they are there."""
    paths = {code: config.SENTENCES / f"{code}.{split}" for code in config.LANGUAGES}
    if not all(path.exists() for path in paths.values()):
        return {}
    return {
        code: path.read_text(encoding="utf-8").rstrip("\n").split("\n")
        for code, path in paths.items()
    }


def evaluate(folder: Path, limit: int) -> dict[str, object]:
    """Everything, on at most `limit` texts for each language and set."""
    judge = Evaluator(folder)
    judged: dict[str, dict] = {"held_out": {}, "flores_dev": {}}
    for code in config.LANGUAGES:
        held_out = corpus.held_out_texts(code, limit)
        judged["held_out"][code] = judge.bits_per_byte(held_out, code)
        dev = corpus.flores(code, "dev", limit)
        judged["flores_dev"][code] = judge.bits_per_byte(dev, code)
        ratios = [f"{name} {judged[name][code]['ratio']:.3f}" for name in judged]
        print(code, *ratios, flush=True)
    sets = {"embedded_" + split: embedded_sentences(split) for split in ("dev", "test")}
    devtest = {code: corpus.flores(code, "devtest", limit) for code in config.LANGUAGES}
    sets["flores_devtest"] = devtest
    found = {name: judge.retrieval(texts) for name, texts in sets.items() if texts}
    return {"bits_per_byte": judged, "retrieval": found, "training": training_facts()}


def training_facts() -> dict[str, object]:
    """How far the run went, from the log of its steps."""
    if not config.TRAIN_LOG.exists():
        return {}
    lines = config.TRAIN_LOG.read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines if line.endswith("}")]
    loss = sum(record["loss"] for record in records[-100:]) / len(records[-100:])
    keep = {key: records[-1][key] for key in ("step", "tokens", "elapsed")}
    stats = json.loads(config.STATS_FILE.read_text(encoding="utf-8"))
    return {**keep, "loss_last_100": loss, "data": stats}


def main() -> None:
    """Evaluate an exported model; write the JSON and, unless it is a trial, the card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=config.MODEL_DIR)
    parser.add_argument("--limit", type=int, default=400, help="texts for each language and set")
    parser.add_argument("--output", type=Path, default=config.RESULTS_FILE)
    parser.add_argument("--card", action="store_true", help="write README.md beside the weights")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    results = evaluate(options.model, options.limit)
    options.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    text = card.render(results, options.model)
    print(text)
    if options.card:
        (options.model / "README.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

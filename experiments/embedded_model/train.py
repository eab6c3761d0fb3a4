"""Trains the embedded model on a CPU within a time budget.

The forward and backward passes run in bfloat16 (2.5 times faster here than float32); the
optimisers update float32 master weights. The learning rate follows the elapsed share of
the budget, so that the run ends on time however busy the machine is. A run that is stopped
continues from its checkpoint, which holds weights, optimiser state, step and elapsed time;
the step is also the position in the data.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import config
import numpy as np
import torch
from loss import IGNORE, cross_entropy
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM


def build_model(tokenizer: object) -> LlamaForCausalLM:
    """A freshly initialised Llama in bfloat16; the seed fixes the weights."""
    torch.manual_seed(config.SEED)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=config.VOCAB_SIZE,
            hidden_size=config.HIDDEN,
            intermediate_size=config.MLP,
            num_hidden_layers=config.LAYERS,
            num_attention_heads=config.HEADS,
            max_position_embeddings=config.POSITIONS,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            use_cache=True,
        )
    )
    return model.to(torch.bfloat16)


class Trainer:
    """The model with its float32 master weights, optimisers, data and progress."""

    def __init__(self, compiled: bool) -> None:
        """Starts from nothing; call `load` to continue a run."""
        self.tokenizer = AutoTokenizer.from_pretrained(config.TOKENIZER_DIR, local_files_only=True)
        self.model = build_model(self.tokenizer)
        self.body = torch.compile(self.model.model) if compiled else self.model.model
        self.rows = np.load(config.ROWS_FILE, mmap_mode="r")
        self.params = dict(self.model.named_parameters())
        self.masters = {k: p.detach().float().clone() for k, p in self.params.items()}
        matrices = [k for k, p in self.params.items() if p.ndim == 2 and ".layers." in k]
        others = [k for k in self.params if k not in matrices]
        self.muon = torch.optim.Muon(
            [self.masters[k] for k in matrices],
            lr=config.MUON_LR,
            momentum=0.95,
            weight_decay=config.WEIGHT_DECAY,
            adjust_lr_fn="match_rms_adamw",
        )
        self.adam = torch.optim.AdamW(
            [self.masters[k] for k in others],
            lr=config.ADAM_LR,
            betas=(0.9, 0.95),
            weight_decay=0.0,
        )
        self.step, self.elapsed = 0, 0.0

    def batch(self) -> torch.Tensor:
        """The rows of the current step; the data start again when they run out."""
        first = self.step * config.BATCH_ROWS
        index = np.arange(first, first + config.BATCH_ROWS) % len(self.rows)
        return torch.from_numpy(self.rows[index].astype(np.int64))

    def backward(self) -> float:
        """Accumulates the batch's gradient into the masters; returns the mean loss."""
        ids = self.batch()
        targets = ids[:, 1:].masked_fill(ids[:, 1:] == self.tokenizer.pad_token_id, IGNORE)
        count = int((targets != IGNORE).sum())
        total = 0.0
        for part in torch.arange(len(ids)).split(config.MICRO_ROWS):
            hidden = self.body(input_ids=ids[part], use_cache=False).last_hidden_state[:, :-1]
            loss = cross_entropy(hidden, self.model.lm_head.weight, targets[part]) / count
            loss.backward()
            total += loss.item()
            self.collect()
        return total

    def collect(self) -> None:
        """Adds the bfloat16 gradients to the masters' float32 ones."""
        for name, param in self.params.items():
            master = self.masters[name]
            grad = param.grad.float()
            master.grad = grad if master.grad is None else master.grad.add_(grad)
            param.grad = None

    def update(self, share: float) -> float:
        """One optimiser step at the rate for this share of the budget; returns the norm."""
        rate = 1 - (1 - config.FINAL_LR_SHARE) * min(share, 1.0)
        rate *= min(1.0, (self.step + 1) / config.WARMUP_STEPS)
        norm = torch.nn.utils.clip_grad_norm_(self.masters.values(), config.GRAD_CLIP)
        for optimiser, top in ((self.muon, config.MUON_LR), (self.adam, config.ADAM_LR)):
            optimiser.param_groups[0]["lr"] = top * rate
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        with torch.no_grad():
            for name, param in self.params.items():
                param.copy_(self.masters[name])
        self.step += 1
        return float(norm)

    def save(self) -> None:
        """Writes the checkpoint beside the old one, then replaces it."""
        tensors = {f"master/{k}": v for k, v in self.masters.items()}
        for label, optimiser in (("muon", self.muon), ("adam", self.adam)):
            for index, state in optimiser.state_dict()["state"].items():
                tensors |= {f"{label}/{index}/{k}": torch.as_tensor(v) for k, v in state.items()}
        progress = {"step": str(self.step), "elapsed": str(self.elapsed)}
        temporary = config.CHECKPOINT.with_suffix(".tmp")
        save_file({k: v.contiguous() for k, v in tensors.items()}, temporary, metadata=progress)
        temporary.replace(config.CHECKPOINT)

    def load(self) -> None:
        """Continues exactly where `save` left off."""
        states: dict[str, dict] = {"muon": {}, "adam": {}}
        with safe_open(config.CHECKPOINT, "pt") as file:
            self.step = int(file.metadata()["step"])
            self.elapsed = float(file.metadata()["elapsed"])
            for key in file.keys():  # noqa: SIM118
                label, _, rest = key.partition("/")
                if label == "master":
                    self.masters[rest].copy_(file.get_tensor(key))
                else:
                    index, name = rest.split("/")
                    states[label].setdefault(int(index), {})[name] = file.get_tensor(key)
        for label, optimiser in (("muon", self.muon), ("adam", self.adam)):
            groups = optimiser.state_dict()["param_groups"]
            optimiser.load_state_dict({"state": states[label], "param_groups": groups})
        with torch.no_grad():
            for name, param in self.params.items():
                param.copy_(self.masters[name])

    def export(self, folder: Path) -> None:
        """Writes a loadable model to `folder`, replacing file by file."""
        temporary = config.WORK / "export.tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        self.model.generation_config.update(
            bos_token_id=self.tokenizer.bos_token_id,
            eos_token_id=self.tokenizer.eos_token_id,
            pad_token_id=self.tokenizer.pad_token_id,
        )
        self.model.save_pretrained(temporary)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(config.TOKENIZER_DIR / name, temporary / name)
        publish(temporary, folder)


def publish(source: Path, folder: Path) -> None:
    """Copies next to the target and renames, so that no reader sees half a file."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.iterdir()):
        beside = folder / f".{path.name}.tmp"
        shutil.copyfile(path, beside)
        beside.replace(folder / path.name)


def run(trainer: Trainer, seconds: float, max_steps: int | None, folder: Path) -> None:
    """Trains until the budget is used up, logging, saving and exporting on the way."""
    start = time.monotonic() - trainer.elapsed
    budget = trainer.elapsed + seconds
    next_save = trainer.elapsed + config.CHECKPOINT_SECONDS
    next_export = max(trainer.elapsed, config.FIRST_EXPORT_SECONDS)
    first = trainer.step
    while trainer.elapsed < budget and (max_steps is None or trainer.step < first + max_steps):
        began = time.monotonic()
        loss = trainer.backward()
        norm = trainer.update(trainer.elapsed / budget)
        trainer.elapsed = time.monotonic() - start
        log(trainer, loss, norm, time.monotonic() - began, budget)
        if trainer.elapsed > next_save:
            trainer.save()
            next_save += config.CHECKPOINT_SECONDS
        if trainer.elapsed > next_export:
            trainer.export(folder)
            next_export = trainer.elapsed + config.EXPORT_SECONDS


def log(trainer: Trainer, loss: float, norm: float, seconds: float, budget: float) -> None:
    """Every step to the JSON log, which records the learning rates that a busy machine gave."""
    tokens = config.BATCH_ROWS * config.ROW_TOKENS
    record = {
        "step": trainer.step,
        "loss": round(loss, 4),
        "norm": round(norm, 3),
        "lr": round(trainer.muon.param_groups[0]["lr"], 6),
        "tokens_per_s": round(tokens / seconds),
        "elapsed": round(trainer.elapsed, 1),
        "eta": round(budget - trainer.elapsed),
        "tokens": trainer.step * tokens,
    }
    with config.TRAIN_LOG.open("a", encoding="utf-8") as handle:
        handle.write(json.dumps(record) + "\n")
    if trainer.step <= 5 or trainer.step % 20 == 0:
        print(json.dumps(record), flush=True)


def seconds_until(clock: str) -> float:
    """Seconds until the next HH:MM in UTC."""
    now = datetime.now(timezone.utc)
    hour, minute = map(int, clock.split(":"))
    then = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return (then - now if then > now else then + timedelta(days=1) - now).total_seconds()


def main() -> None:
    """Parse the budget, continue or start, train, save and export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=90)
    parser.add_argument("--until", help="HH:MM in UTC; instead of --minutes")
    parser.add_argument("--steps", type=int, help="stop early, for trials")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--fresh", action="store_true", help="ignore an existing checkpoint")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--export", type=Path, default=config.MODEL_DIR)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    trainer = Trainer(options.compile)
    if config.CHECKPOINT.exists() and not options.fresh:
        trainer.load()
    run(
        trainer,
        seconds_until(options.until) if options.until else options.minutes * 60,
        options.steps,
        options.export,
    )
    trainer.save()
    trainer.export(options.export)


if __name__ == "__main__":
    main()

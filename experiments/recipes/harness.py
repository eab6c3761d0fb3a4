"""lm-evaluation-harness on a model as it stands: inside ``ms.steer`` it evaluates the edit."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from lm_eval import simple_evaluate
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager

import mechsteer as ms
from mechsteer.costs import sample
from mechsteer.costs.windows import opening
from mechsteer.recording.tokens import tokenize
from mechsteer.steering import state_of


class Bridge(LM):
    """A TransformerBridge as the harness wants it; requests run one by one, unpadded."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.words = model.plain_tokenizer
        self.place = next(model.parameters()).device
        self.context = model.context_length(self.words)

    def loglikelihood(self, requests: list[Instance], **_: Any) -> list[tuple[float, bool]]:
        """Log-probability of each continuation after its context, and whether it is greedy."""
        return [self._continuation(*request.args) for request in requests]

    def loglikelihood_rolling(self, requests: list[Instance], **_: Any) -> list[float]:
        """Log-probability of each text."""
        texts = [request.args[0] for request in requests]
        return (-ms.perplexity(self.model, texts, progress=False).nll).tolist()

    def generate_until(self, requests: list[Instance], **_: Any) -> list[str]:
        """Greedy continuations, cut where one of the stop strings begins."""
        return [self._written(*request.args) for request in requests]

    def _continuation(self, before: str, text: str) -> tuple[float, bool]:
        # as the harness does: spaces between the two belong to the continuation
        kept = before.rstrip()
        both = self._ids(before + text)
        start = len(self._ids(kept)) if kept else 0
        ids = (opening(self.words) + both)[-self.context :]
        asked = ids[len(ids) - len(both) + start :]
        with torch.inference_mode():
            logits = self.model(torch.tensor([ids], device=self.place))[0, :-1]
        logp = logits[-len(asked) :].double().log_softmax(-1).cpu()
        found = logp.gather(1, torch.tensor(asked)[:, None]).sum().item()
        return found, logp.argmax(-1).tolist() == asked

    def _ids(self, text: str) -> list[int]:
        """A text's tokens, without those that the tokenizer's template adds."""
        tokens = next(iter(tokenize([text], self.words)))
        found: list[int] = tokens.ids[~tokens.added].tolist()
        return found

    def _written(self, prompt: str, options: dict[str, Any]) -> str:
        text = sample(
            self.model, prompt=prompt, temperature=0, max_new_tokens=options.get("max_gen_toks", 32)
        ).texts[0]
        stops = [text.find(stop) for stop in options.get("until", ()) if stop in text]
        return text[: min(stops, default=len(text))]


def evaluate(
    model: Any, task: dict[str, Any] | str, *, cache: str | Path | None = None, **options: Any
) -> dict[str, Any]:
    """Metrics of one task of the harness, with the edits they are of (``edits``).

    Args:
        model: as it stands.
        task: a name that the harness knows, or the content of a task file.
        cache: a folder of this model's own, where answers are kept by edits: the harness itself
            tells them apart by their requests alone.
        options: of ``lm_eval.simple_evaluate``.
    """
    name = task if isinstance(task, str) else task["task"]
    state = state_of(model)
    if cache is not None:
        Path(cache).mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(state.encode()).hexdigest()[:16]
        options["use_cache"] = str(Path(cache) / digest)
    found = simple_evaluate(
        Bridge(model), tasks=[task], task_manager=TaskManager(), bootstrap_iters=0, **options
    )
    return {**found["results"][name], "edits": state}

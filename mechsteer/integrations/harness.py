"""lm-evaluation-harness on a model as it stands: inside ``ms.steer`` it evaluates the edit."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from mechsteer.costs import perplexity, sample
from mechsteer.costs.windows import opening
from mechsteer.errors import MechsteerError
from mechsteer.integrations.needed import needed
from mechsteer.model.wrap import ModelLike, as_model
from mechsteer.recording.tokens import tokenize
from mechsteer.steering import state_of


def evaluate(
    model: ModelLike,
    task: dict[str, Any] | str,
    *,
    cache: str | Path | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Metrics of one task of the harness, with the edits they are of (``edits``).

    Args:
        model: whatever ``mechsteer.wrap`` takes.
        task: a name the harness knows (it downloads the data), or the content of a task file, which
            can read local JSON lines.
        cache: a folder where answers are kept by model and edits: the harness itself tells them
            apart by its requests alone (``use_cache``).
        options: those of ``lm_eval.simple_evaluate``, such as ``limit=200``.

    Raises:
        MechsteerError: the harness is not installed; a task without a name.
    """
    name = task if isinstance(task, str) else task.get("task")
    if not name:
        raise MechsteerError("expected a task of lm-evaluation-harness with a name, key 'task'")
    library = needed("lm_eval", "eval")
    tasks = needed("lm_eval.tasks", "eval").TaskManager()
    model = as_model(model)
    state = state_of(model)
    if cache is not None:
        Path(cache).mkdir(parents=True, exist_ok=True)
        known = f"{model.identity()} {state}".encode()
        options["use_cache"] = str(Path(cache) / hashlib.sha256(known).hexdigest()[:16])
    found = library.simple_evaluate(
        harness_model(model), tasks=[task], task_manager=tasks, bootstrap_iters=0, **options
    )
    return {**found["results"][name], "edits": state}


def harness_model(model: ModelLike) -> Any:
    """The model as an ``lm_eval.api.model.LM``.

    Raises:
        MechsteerError: the harness is not installed.
    """
    kind = needed("lm_eval.api.model", "eval").LM
    return type("SteeredModel", (Answers, kind), {})(model)


class Answers:
    """What the harness asks of a model; requests run one by one, unpadded.

    Args:
        model: whatever ``mechsteer.wrap`` takes.
    """

    def __init__(self, model: ModelLike) -> None:
        super().__init__()
        self.model = as_model(model)
        self.words = self.model.plain_tokenizer
        self.context = self.model.context_length(self.words)

    def loglikelihood(self, requests: Sequence[Any], **_: Any) -> list[tuple[float, bool]]:
        """Log-probability of each continuation after its context, and whether it is greedy."""
        return [self._continuation(*request.args) for request in requests]

    def loglikelihood_rolling(self, requests: Sequence[Any], **_: Any) -> list[float]:
        """Log-probability of each text."""
        texts = [request.args[0] for request in requests]
        nll: list[float] = (-perplexity(self.model, texts, progress=False).nll).tolist()
        return nll

    def generate_until(self, requests: Sequence[Any], **_: Any) -> list[str]:
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
            given = torch.tensor([ids], device=self.model.input_device)
            logits = self.model(given, attention_mask=torch.ones_like(given))[0, :-1]
        logp = logits[-len(asked) :].double().log_softmax(-1).cpu()
        found = logp.gather(1, torch.tensor(asked)[:, None]).sum().item()
        return found, logp.argmax(-1).tolist() == asked

    def _ids(self, text: str) -> list[int]:
        """A text's tokens, without those that the tokenizer's template adds."""
        tokens = next(iter(tokenize([text], self.words)))
        found: list[int] = tokens.ids[~tokens.added].tolist()
        return found

    def _written(self, prompt: str, options: dict[str, Any]) -> str:
        most = options.get("max_gen_toks", 32)
        text = sample(self.model, prompt=prompt, temperature=0, max_new_tokens=most).texts[0]
        stops = [text.find(stop) for stop in options.get("until", ()) if stop in text]
        return text[: min(stops, default=len(text))]

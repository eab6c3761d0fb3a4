"""What a model answers to prompts, without and with edits, kept as it is written."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mechsteer.corpus.names.languages import likely
from mechsteer.costs.prompts import Prompt
from mechsteer.costs.sampling import respond
from mechsteer.errors import MechsteerError
from mechsteer.interventions import Edit
from mechsteer.interventions.edits import as_edits, fingerprint
from mechsteer.model.wrap import ModelLike, as_model
from mechsteer.progress import progress as watched
from mechsteer.steering import Positions, name_of, steer
from mechsteer.steering.state import NO_EDIT, told_apart

Edits = Sequence[Edit] | Mapping[str, Sequence[Edit]]
"""Edits for every answer, or by the language that an answer should be in."""


@dataclass(frozen=True)
class Answer:
    """What a model in a state (``edit``) wrote after a prompt."""

    prompt: Prompt
    text: str
    edit: str = NO_EDIT

    @property
    def key(self) -> str:
        """Sixteen letters that tell this answer from any other, and not which edit it is of."""
        p = self.prompt
        parts = [self.edit, p.source, p.asked_in, p.language, p.number, p.text, self.text]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def answer(
    model: ModelLike,
    prompts: Sequence[Prompt],
    edits: Edits = (),
    *,
    name: str | None = None,
    positions: Positions = "all",
    max_new_tokens: int = 100,
    temperature: float = 0.0,
    top_p: float = 1.0,
    seed: int = 0,
    chat: bool = False,
    batch_size: int = 64,
    tokenizer: Any = None,
    kept: str | Path | None = None,
    progress: bool = True,
) -> tuple[Answer, ...]:
    """Let a model answer prompts with edits installed: with those for the language they ask for.

    Args:
        model: a causal one in eval mode, whatever ``mechsteer.wrap`` takes.
        prompts: ``read_prompts``, ``questions``.
        edits: for all prompts, or by language; none is the model as it is.
        name: what the state is called; by default the names of the edits, with eight letters of a
            hash of all that they do and where, so that two states never share a name.
        positions: where the edits act.
        max_new_tokens: of each answer. The Language Confusion Benchmark took 100 at temperature 0.3
            and top-p 0.75, CLaS-Bench 1,024 greedily.
        temperature: see ``ms.costs.sample``.
        top_p: see ``ms.costs.sample``.
        seed: of the uniform numbers; the same serve every state.
        chat: give each prompt as a user's turn in the tokenizer's chat template.
        batch_size: prompts continued at once, at most.
        tokenizer: the model's plain one by default.
        kept: a file of answers that were written before and need not be again: they are told apart
            by model, edits, options and prompt. A killed call goes on from it.
        progress: show a bar where a terminal watches.

    Raises:
        MechsteerError: no edits for a language, and what ``ms.costs.sample`` and ``ms.steer``
            refuse.
    """
    model = as_model(model)
    by_language = _by_language(edits, prompts)
    state = name or _named(edits, positions)
    how: dict[str, Any] = {
        "max_new_tokens": max_new_tokens, "temperature": temperature, "top_p": top_p,
        "seed": seed, "chat": chat,
    }  # fmt: skip
    cache = _Kept(kept)
    said = {**how, "positions": positions, "model": repr(model.identity(tokenizer))}
    texts: dict[Prompt, str] = {}
    groups = list(_groups(prompts, by_language))
    for own, group in watched(groups, "answering", "language") if progress else groups:
        prints = {**said, "edits": [fingerprint(edit) for edit in own]}
        if own:
            prints["language"] = group[0].language
        keys = {prompt: _key(prints, prompt.text) for prompt in group}
        missing = list({keys[p]: p for p in group if keys[p] not in cache.texts}.values())
        where = {"languages": group[0].language, "tokenizer": tokenizer, "positions": positions}
        with steer(model, *own, **where) if own and missing else nullcontext():
            for first in range(0, len(missing), 4 * batch_size):
                part = missing[first : first + 4 * batch_size]
                asked = [prompt.text for prompt in part]
                found = respond(model, asked, tokenizer=tokenizer, batch_size=batch_size, **how)
                cache.add(dict(zip((keys[p] for p in part), found.texts, strict=True)))
        texts |= {prompt: cache.texts[keys[prompt]] for prompt in group}
    return tuple(Answer(prompt, texts[prompt], state) for prompt in prompts)


def _groups(
    prompts: Sequence[Prompt], edits: Mapping[str, Sequence[Edit]]
) -> Iterator[tuple[Sequence[Edit], list[Prompt]]]:
    """Prompts by the language of their answer; all together where no edit depends on it."""
    if not any(edits.values()):
        yield (), list(prompts)
        return
    for language in edits:
        yield edits[language], [each for each in prompts if each.language == language]


def _by_language(edits: Edits, prompts: Sequence[Prompt]) -> dict[str, Sequence[Edit]]:
    """The edits for each language that an answer should be in."""
    languages = dict.fromkeys(prompt.language for prompt in prompts)
    if not languages:
        raise MechsteerError("expected prompts, got none")
    if not isinstance(edits, Mapping):
        return dict.fromkeys(languages, as_edits(edits))
    given = {likely(code): as_edits(own) for code, own in edits.items()}
    if missing := [language for language in languages if language not in given]:
        raise MechsteerError(
            f"expected edits for {', '.join(missing)}, got them for {', '.join(given)}"
        )
    return {language: given[language] for language in languages}


def _named(edits: Edits, positions: Positions) -> str:
    """What a state is called: its edits, with their strength where that is not 1, and a hash."""
    given = edits if isinstance(edits, Mapping) else {"": edits}
    given = {code: as_edits(own) for code, own in given.items()}
    if not any(given.values()):
        return NO_EDIT
    names = " or ".join(dict.fromkeys(map(name_of, given.values())))
    prints = {
        likely(code) if code else "": list(map(fingerprint, own)) for code, own in given.items()
    }
    return told_apart(names, [json.dumps([positions, prints], sort_keys=True)])


def _key(said: Mapping[str, Any], text: str) -> str:
    return hashlib.sha256(json.dumps([said, text], sort_keys=True).encode()).hexdigest()


class _Kept:
    """Answers by key, in a file that grows; a line that a kill tore is written anew."""

    def __init__(self, path: str | Path | None) -> None:
        self._path = None if path is None else Path(path)
        self.texts: dict[str, str] = {}
        if self._path is None or not self._path.exists():
            return
        whole = 0
        data = self._path.read_bytes()
        for line in data.splitlines(keepends=True):
            try:
                row = json.loads(line)
                self.texts[row["key"]] = row["text"]
            except (ValueError, KeyError, TypeError):
                break
            whole += len(line) if line.endswith(b"\n") else 0
        if whole < len(data):
            os.truncate(self._path, whole)

    def add(self, texts: Mapping[str, str]) -> None:
        self.texts.update(texts)
        if self._path is None:
            return
        rows = (json.dumps({"key": k, "text": t}, ensure_ascii=False) for k, t in texts.items())
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(f"{row}\n" for row in rows)
            file.flush()
            os.fsync(file.fileno())

"""From sentences to pooled neurons and layer embeddings, in one pass that keeps nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from typing_extensions import Unpack

from mechsteer.analysis.baselines import LayerEmbeddings
from mechsteer.artifacts.files import content_hash
from mechsteer.corpus.given import Sentences, as_labelled
from mechsteer.errors import ModelError
from mechsteer.kernels import Pooling
from mechsteer.memory import room
from mechsteer.model.identity import ModelIdentity
from mechsteer.model.interface import Model
from mechsteer.model.sites import find_site
from mechsteer.model.wrap import ModelLike, as_model
from mechsteer.options.memory import USUAL_MEMORY, memory_bytes
from mechsteer.ranks import current
from mechsteer.recording.batch_size import fitted
from mechsteer.recording.batches import BatchPlan, plan_batches
from mechsteer.recording.passes import fill
from mechsteer.recording.placing import placed
from mechsteer.recording.points import (
    PointPoolings,
    points_of,
    points_to_read,
    poolings_of,
    residual_rows,
)
from mechsteer.recording.reading import DEFAULT_READING, Reading, ReadingOptions
from mechsteer.recording.recorded import Recording, by_language
from mechsteer.recording.shards import Shards
from mechsteer.recording.store import Store

if TYPE_CHECKING:
    from mechsteer.corpus import LabelledCorpus

RECORDING_SCHEMA = 4  # of the plan and its shards: 4 says how many tokens a batch has at most


def record(
    model: ModelLike,
    corpus: Sentences,
    *,
    site: str = "post",
    pooling: Pooling | tuple[Pooling, ...] = "max",
    layers: Sequence[int] | None = None,
    firing: bool = False,
    embeddings: bool = False,
    tokenizer: Any = None,
    reading: Reading = DEFAULT_READING,
    directory: Path | None = None,
    memory: int | str = USUAL_MEMORY,
    progress: bool = True,
    **options: Unpack[ReadingOptions],
) -> Recording:
    """Record the neurons of a model on a corpus, pooled over each sentence's real tokens.

    Ranks of ``torchrun`` divide the batches, given a ``directory``; without one each runs all.

    Full activations live only inside the hook. The decoder of an encoder-decoder reads the same
    sentences one position to the right, and its neurons are pooled over the same real tokens (see
    ``mechsteer.model.decoder``). Values depend on the division into batches by
    rounding alone: in float32 ``|Δz| ≤ 1e-5·max|z|``; one division gives one result.

    Args:
        model: in eval mode, whatever ``mechsteer.wrap`` takes.
        corpus: sentences by language; they need not be parallel.
        site: where neurons are read, see ``mechsteer.model.sites.find_site``.
        pooling: ``"max"``, ``"mean"`` or ``"last"``, or several.
        layers: whose neurons to record, in every stack of the site; all by default. The pass ends
            after the last of them.
        firing: also record how often each neuron fires, see ``Recording.fired``.
        embeddings: also record the layer embeddings, see ``embed``.
        tokenizer: the model's plain one by default.
        reading: how sentences are read.
        directory: folder to stream to; an interrupted recording resumes there. None keeps the
            pooled values in memory, or where they exceed half of ``memory`` in a temporary file.
        memory: what values may take of it, see ``mechsteer.memory``.
        progress: show a bar where a terminal watches.
        options: fields of ``reading`` one by one, such as ``truncate=True``.

    Raises:
        ModelError: train mode; compatibility mode with embeddings; a folder or ``firing`` while
            hooks are on.
        SiteError: the neurons cannot be read, or do not fire where ``hook_pre > 0``.
        CorpusError: a sentence without real tokens, or longer than the context.
        ModelError: an activation is not finite, with layer, file and line.
        ArtifactError: the folder holds a recording with other inputs.
    """
    model, corpus = as_model(model), as_labelled(corpus)
    model.require_eval()
    tokenizer = tokenizer or model.plain_tokenizer
    found = find_site(model, site)
    points = points_of(found, layers)
    residual = residual_rows(model) if embeddings else ()
    read = points_to_read(model, points, poolings_of(pooling), residual, firing=firing)
    reading = reading.changed(options)
    context, n_words = model.context_length(tokenizer), model.n_words
    plan = plan_batches(corpus, tokenizer, reading, context=context, n_words=n_words)
    if reading.batch_tokens == "auto":
        plan = fitted(plan, model, read, directory)
        if directory is not None:  # of several ranks the smallest, which fits all
            plan = plan.divided(min(current().gather("tokens of a batch", plan.batch_tokens)))
    who = model.identity(tokenizer)
    sizes = len(plan.batches), len(plan.ids)
    store: Store
    if directory is None:
        store = placed(plan, corpus, read, residual, model.dtype, memory_bytes(memory))
    else:
        _require_unhooked(model)
        inputs = _inputs(model, corpus, who, plan, read)
        current().same("what is recorded", inputs)
        store = Shards(Path(directory), *sizes, inputs=inputs, residual=residual)
    fill(store, model, corpus, plan, read, progress=progress)
    return Recording(
        site=found,
        pooling=poolings_of(pooling),
        languages=tuple(corpus.languages),
        labels=torch.tensor(corpus.flatten()[1]),
        n_tokens=torch.tensor([int(real.sum()) for real in plan.real]),
        points=points,
        firing=firing,
        model=who,
        sources=dict(corpus.sources),
        n_truncated=plan.n_truncated,
        batch_tokens=plan.batch_tokens,
        concepts=corpus.concepts,
        _store=store,
    )


def embed(
    model: ModelLike,
    corpus: Sentences,
    *,
    stack: Literal["encoder", "decoder"] | None = None,
    tokenizer: Any = None,
    reading: Reading = DEFAULT_READING,
    memory: int | str = USUAL_MEMORY,
    progress: bool = True,
    **options: Unpack[ReadingOptions],
) -> LayerEmbeddings:
    """Embed each sentence at each layer: the mean residual stream over its real tokens, in float32.

    Row 0 is the embedding layer, row l the output of block l, the last row the final norm; of an
    encoder-decoder they are the encoder's, and its decoder is not run, unless ``stack`` asks for
    it: it then reads the same sentence, one position to the right, and the mean is over the
    positions that hold real tokens. Edits that are installed on the model act, so this embeds
    before and after steering alike.

    Args:
        model: in eval mode, whatever ``mechsteer.wrap`` takes.
        corpus: sentences by language.
        stack: of an encoder-decoder, whose rows; the encoder's by default.
        tokenizer: the model's plain one by default.
        reading: how sentences are read.
        memory: where the embeddings exceed half of it they lie in a temporary file, and a language
            is read when it is asked for.
        progress: show a bar where a terminal watches.
        options: fields of ``reading`` one by one, such as ``truncate=True``.

    Raises:
        ModelError: train mode, compatibility mode, or an activation that is not finite, with
            layer, file and line.
        SiteError: the model has no such stack.
        CorpusError: a sentence without real tokens, or longer than the context.
    """
    model, corpus = as_model(model), as_labelled(corpus)
    model.require_eval()
    tokenizer = tokenizer or model.plain_tokenizer
    residual = residual_rows(model, stack)
    reading = reading.changed(options)
    context, n_words = model.context_length(tokenizer), model.n_words
    plan = plan_batches(corpus, tokenizer, reading, context=context, n_words=n_words)
    read: PointPoolings = dict.fromkeys(residual, ("mean",))
    if reading.batch_tokens == "auto":
        plan = fitted(plan, model, read)
    store = placed(plan, corpus, read, residual, model.dtype, budget := memory_bytes(memory))
    fill(store, model, corpus, plan, read, progress=progress)
    found = store.embedded({}, room(budget))
    if found is not None:
        return found
    return by_language(store.embeddings(), torch.tensor(corpus.flatten()[1]), corpus.languages)


def _require_unhooked(model: Model) -> None:
    """A folder must not mix what was recorded with and without an edit."""
    points = model.hook_dict.items()
    hooked = [name for name, p in points if p.has_hooks("fwd", including_permanent=False)]
    if hooked:
        raise ModelError(
            f"hooks are on ({', '.join(hooked[:3])}), and a resumed recording could not tell: "
            "leave the steering scope, or record without a directory"
        )


def _inputs(
    model: Model, corpus: LabelledCorpus, who: ModelIdentity, plan: BatchPlan, read: PointPoolings
) -> dict[str, Any]:
    """All that determines the bytes of a recording; a model's name does not."""
    device = model.input_device.type
    libraries = ("torch", "transformers", "transformer-lens")
    return {
        "schema": RECORDING_SCHEMA,
        "corpus": corpus.fingerprint,
        "model": {key: value for key, value in asdict(who).items() if key != "name"},
        "points": content_hash([[asdict(point), how] for point, how in read.items()]),
        "pooling": list(next(iter(read.values()))),
        "tokens": plan.fingerprint,
        "sentences": len(plan.ids),
        "batches": len(plan.batches),
        "batch_tokens": plan.batch_tokens,
        "device": device,
        "threads": torch.get_num_threads() if device == "cpu" else None,
        "versions": {library: version(library) for library in libraries},
    }

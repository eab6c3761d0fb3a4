"""Vectors for the residual stream, fitted on sentence embeddings of the same model.

Embeddings are ``[layer, sentence, d]`` by language, as ``mechsteer.embed`` and
``Recording.embeddings_by_language`` give them. ``layers`` chooses rows: 0 is the embedding, l
follows block l, -1 is the final norm. An edit at several rows compounds: a later row is edited as
if the earlier ones had not moved it, which is how the sources fit it. Fitting is float64.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from mechsteer.analysis.baselines import LayerEmbeddings
from mechsteer.errors import MechsteerError
from mechsteer.interventions.edits import ResidualEdit
from mechsteer.interventions.rows import Layers, chosen_rows, means_of, of_language, residual_edit
from mechsteer.model.wrap import ModelLike, as_model


def diffmean(
    model: ModelLike,
    embeddings: LayerEmbeddings,
    *,
    target: str,
    layers: Layers,
    source: str | None = None,
    normalised: bool = False,
) -> ResidualEdit:
    """Add the way from one language's mean to another's: ``h <- h + λ(mu_target - mu_source)``.

    Args:
        model: the model the embeddings come from.
        embeddings: of dev sentences, by language.
        target: the language to move towards.
        layers: rows of the residual stream.
        source: the language to move away from; None: the mean of all other languages' means.
        normalised: divide by the difference's norm at each layer, so that λ is a length.

    Raises:
        MechsteerError: a language without embeddings, no difference, or other layers.

    Source: CLaS-Bench (arXiv 2601.08331), DiffMean, which is normalised.
    """
    model = as_model(model)
    points, dev = chosen_rows(model, embeddings, layers)
    means = means_of(dev)
    others = [language for language in means if language != target]
    start = [of_language(means, source)] if source else [means[language] for language in others]
    if not start or source == target:
        raise MechsteerError(f"expected another language beside the target {target}")
    v = of_language(means, target) - torch.stack(start).mean(0)
    if normalised:
        v = v / _nonzero(v.norm(dim=-1, keepdim=True), f"{target} differs from nothing")
    how = {"target": target, "source": source, "normalised": normalised}
    return residual_edit("diffmean", model, points, dev, how, v=v[None])


def recover(
    model: ModelLike,
    embeddings: LayerEmbeddings,
    *,
    target: str,
    layers: Layers,
    source: str | None = None,
    beta: float = 1.0,
    restore_norm: bool = True,
) -> ResidualEdit:
    """Trade one language's vector for another's: ``h <- h + λ(v_target - beta·v_source)``.

    A language's vector is its mean less the mean of all languages' means, ``v_l = mu_l - mu``.

    Args:
        model: the model the embeddings come from.
        embeddings: of dev sentences, by language; parallel ones in the source.
        target: the language to move towards.
        layers: rows of the residual stream.
        source: the language to move away from; None: each row's own, which ``steer`` is told.
        beta: how much of the source's vector is taken away.
        restore_norm: give every position the norm it had before.

    Raises:
        MechsteerError: a language without embeddings, or other layers.

    Source: ReCoVeR (arXiv 2509.14814).
    """
    model = as_model(model)
    points, dev = chosen_rows(model, embeddings, layers)
    means = means_of(dev)
    common = torch.stack(list(means.values())).mean(0)
    goal = of_language(means, target) - common
    sources = {source: of_language(means, source)} if source else means
    v = torch.stack([goal - beta * (mean - common) for mean in sources.values()])
    how = {"target": target, "source": source, "beta": beta}
    languages = () if source else tuple(means)
    edit = residual_edit("recover", model, points, dev, how, v=v, languages=languages)
    return replace(edit, restore_norm=restore_norm)


def centring(model: ModelLike, embeddings: LayerEmbeddings, *, layers: Layers) -> ResidualEdit:
    """Take each language's mean away: ``h <- h - λ mu_language``.

    ``steer`` must be told the language of each row. At the last row this is
    ``mechsteer.analysis.centre`` on embeddings.

    Args:
        model: the model the embeddings come from.
        embeddings: of dev sentences, by language.
        layers: rows of the residual stream.

    Raises:
        MechsteerError: what `mechsteer.analysis.similarity.check_embedding` refuses, or other
            layers.

    Source: see `mechsteer.analysis.centre`.
    """
    model = as_model(model)
    points, dev = chosen_rows(model, embeddings, layers)
    means = means_of(dev)
    v = -torch.stack(list(means.values()))
    return residual_edit("centring", model, points, dev, {}, v=v, languages=tuple(means))


def _nonzero(norm: Tensor, problem: str) -> Tensor:
    if not norm.all():
        raise MechsteerError(f"{problem}: expected a difference at every layer")
    return norm

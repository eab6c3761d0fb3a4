"""What needs no neurons: moving each language's mean. Fitted on dev, applied to test.

An intervention that does not beat these has moved an offset and nothing else. Embeddings may carry
a leading layer axis; every layer has its own mean.
"""

from __future__ import annotations

from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor

from mechsteer.analysis.held import mapped
from mechsteer.analysis.similarity import check_embedding, check_languages
from mechsteer.errors import MechsteerError

LayerEmbeddings = Mapping[str, Float[Tensor, "*layer _sentence d"]]
Means = Mapping[str, Float[Tensor, "*layer 1 d"]]


def language_means(dev: LayerEmbeddings) -> dict[str, Float[Tensor, "*layer 1 d"]]:
    """Mean embedding of each language, in float64.

    Sentences need not be parallel, nor the languages equally many.

    Raises:
        MechsteerError: see `mechsteer.analysis.similarity.check_languages`.
    """
    check_languages(dev)
    return {language: x.double().mean(-2, keepdim=True) for language, x in dev.items()}


def centre(test: LayerEmbeddings, means: Means) -> LayerEmbeddings:
    """Take each language's fitted mean away: ``x - mu_language``; dtype kept.

    Raises:
        MechsteerError: a language without a mean, a mean of another shape, or what
            `mechsteer.analysis.similarity.check_embedding` refuses.

    Source: Libovicky et al. 2020 (On the Language Neutrality of Pre-trained Multilingual
    Representations), section 3.
    """
    return mapped(test, lambda language, x: _move(x, language, -_mean(means, language)))


def shift_to(test: LayerEmbeddings, means: Means, *, target: str) -> LayerEmbeddings:
    """Move each language onto the target's mean: ``x - mu_language + mu_target``; dtype kept.

    Raises:
        MechsteerError: as `centre`, for the target too.

    Source: XTREME's `use_shift_embeds` (Hu et al. 2020), after Pires et al. 2019, section 5.
    """
    goal = _mean(means, target)
    return mapped(test, lambda language, x: _move(x, language, goal - _mean(means, language)))


def _mean(means: Means, language: str) -> Float[Tensor, "*layer 1 d"]:
    if language not in means:
        raise MechsteerError(
            f"no mean was fitted for {language}; fitted: {', '.join(means) or 'none'}"
        )
    return means[language]


def _move(
    x: Float[Tensor, "*layer sentence d"], language: str, by: Float[Tensor, "*layer 1 d"]
) -> Float[Tensor, "*layer sentence d"]:
    check_embedding(x, language)
    if (*x.shape[:-2], x.shape[-1]) != (*by.shape[:-2], by.shape[-1]):
        raise MechsteerError(
            f"{language}: the mean was fitted on {tuple(by.shape)}, "
            f"which does not fit embeddings {tuple(x.shape)}"
        )
    return (x.double() + by).to(x.dtype)

"""How much of its language does a sentence's embedding still tell?

A neutral space hides the language and keeps the meaning: low accuracy here *and* high retrieval.
Low accuracy alone is what a collapsed space has too.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from mechsteer.analysis.similarity import Embeddings, check_parallel, exact_unit
from mechsteer.errors import MechsteerError


def probe_accuracy(embeddings: Embeddings, *, folds: int = 5, seed: int = 0) -> float:
    """Accuracy of a linear probe for the language, cross-validated by sentence id.

    Logistic regression (scikit-learn's, C = 1) on embeddings standardised on the training folds;
    all translations of a sentence stand in one fold, so the probe cannot know a test sentence.
    Chance is one in the number of languages.

    Raises:
        MechsteerError: see `mechsteer.analysis.similarity.check_parallel`; also fewer sentences
            than folds, or folds below 2.

    Source: Libovicky et al. 2020, section 3 (language identification).
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, language, sentence = _table(embeddings)
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    scores = cross_val_score(probe, x, language, groups=sentence, cv=_folds(sentence, folds, seed))
    return float(scores.mean())


def centroid_accuracy(embeddings: Embeddings, *, folds: int = 5, seed: int = 0) -> float:
    """Share of sentences nearest (cosine) to their own language's mean, means of other folds.

    Folds by sentence id; equal cosines to several means are misses. Chance is one in the number of
    languages.

    Raises:
        MechsteerError: as `probe_accuracy`.

    Source: Libovicky et al. 2020, section 3 (centroids).
    """
    check_parallel(embeddings)
    stacked = torch.stack([x.double() for x in embeddings.values()])
    own = torch.arange(len(stacked))
    hits = 0
    for train, test in _splits(stacked.shape[1], folds, seed):
        means = exact_unit(stacked[:, train].mean(1))
        cosine = exact_unit(stacked[:, test]) @ means.T
        best = cosine.amax(2, keepdim=True)
        hits += int(((cosine.argmax(2) == own[:, None]) & ((cosine == best).sum(2) == 1)).sum())
    return hits / (stacked.shape[0] * stacked.shape[1])


def silhouette(embeddings: Embeddings) -> float:
    """Mean silhouette of languages as clusters, by cosine: 1 apart, 0 mixed, below 0 misplaced.

    Raises:
        MechsteerError: see `mechsteer.analysis.similarity.check_parallel`.

    Source: Rousseeuw 1987; scikit-learn's ``silhouette_score``.
    """
    from sklearn.metrics import silhouette_score

    x, language, _ = _table(embeddings)
    return float(silhouette_score(x, language, metric="cosine"))


def v_measure(embeddings: Embeddings, *, seed: int = 0) -> float:
    """V-measure between languages and as many k-means clusters of unit vectors; 0 neutral, 1 apart.

    Raises:
        MechsteerError: see `mechsteer.analysis.similarity.check_parallel`.

    Source: Rosenberg and Hirschberg 2007; Libovicky et al. 2020, section 3.
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import v_measure_score

    x, language, _ = _table(embeddings)
    unit = exact_unit(torch.from_numpy(x)).numpy()
    found = KMeans(len(embeddings), n_init=10, random_state=seed).fit_predict(unit)
    return float(v_measure_score(language, found))


def subspace_angles(
    x: Float[Tensor, "sentence d"], y: Float[Tensor, "sentence d"], *, rank: int = 10
) -> Float[Tensor, "rank"]:
    """Principal angles between the leading subspaces of two languages, in radians, descending.

    Each spanned by the `rank` leading principal directions of the language's own sentences; their
    root sum of squares is the geodesic distance of the subspaces.

    Raises:
        MechsteerError: a rank beyond what either language's sentences span, or what
            `mechsteer.analysis.similarity.check_parallel` refuses.

    Source: Björck and Golub 1973; scipy's ``subspace_angles``. Language subspaces: Chang et al.
    2022 (The Geometry of Multilingual Language Model Representations), section 3.
    """
    from scipy.linalg import subspace_angles as angles

    check_parallel({"x": x, "y": y})
    bases = [_leading(space, name, rank) for name, space in (("x", x), ("y", y))]
    return torch.from_numpy(np.asarray(angles(*bases)))


def _leading(x: Tensor, name: str, rank: int) -> NDArray[np.float64]:
    wide = x.double()
    _, sizes, directions = torch.linalg.svd(wide - wide.mean(0), full_matrices=False)
    spanned = int((sizes > sizes[0] * max(wide.shape) * torch.finfo(wide.dtype).eps).sum())
    if not 1 <= rank <= spanned:
        raise MechsteerError(
            f"{name}: expected a rank from 1 to {spanned}, which it spans, got {rank}"
        )
    found: NDArray[np.float64] = directions[:rank].T.numpy()
    return found


def _table(
    embeddings: Embeddings,
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """All sentences below each other, with their language's and their sentence's number."""
    check_parallel(embeddings)
    languages, sentences = len(embeddings), len(next(iter(embeddings.values())))
    x = torch.cat([e.double() for e in embeddings.values()]).cpu().numpy()
    return x, np.repeat(np.arange(languages), sentences), np.tile(np.arange(sentences), languages)


def _splits(n: int, folds: int, seed: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    from sklearn.model_selection import KFold

    if not 2 <= folds <= n:
        raise MechsteerError(f"expected 2 to {n} folds of {n} sentences, got {folds}")
    return list(KFold(folds, shuffle=True, random_state=seed).split(np.arange(n)))


def _folds(
    sentence: NDArray[np.int64], folds: int, seed: int
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """The same folds of sentence ids, as rows of the table."""
    splits = _splits(int(sentence.max()) + 1, folds, seed)
    return [
        (np.flatnonzero(np.isin(sentence, train)), np.flatnonzero(np.isin(sentence, test)))
        for train, test in splits
    ]

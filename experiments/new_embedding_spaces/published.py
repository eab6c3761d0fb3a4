"""Every number of Sundar et al. 2025 (2025.acl-long.118) that stands beside ours, by its table."""

from __future__ import annotations

MODELS = {"aya-8b": "Aya-8B", "bloom-7b": "BLOOM-7B", "polylm-13b": "PolyLM-13B"}

# Table 1, before and after, means over five targets
DISTANCES: dict[str, dict[str, tuple[float, float]]] = {
    "aya-8b": {
        "all languages": (0.72, 0.19),
        "target to medoid": (0.62, 0.14),
        "others to medoid": (0.58, 0.12),
        "others to target": (0.77, 0.20),
    },
    "bloom-7b": {
        "all languages": (0.72, 0.17),
        "target to medoid": (0.60, 0.04),
        "others to medoid": (0.50, 0.11),
        "others to target": (0.78, 0.13),
    },
    "polylm-13b": {
        "all languages": (0.85, 0.56),
        "target to medoid": (0.72, 0.43),
        "others to medoid": (0.72, 0.43),
        "others to target": (0.86, 0.54),
    },
}

# Table 7 (appendix H), top-1 before and after; the paper does not say which side asks
TATOEBA: dict[str, dict[str, tuple[float, float]]] = {
    "aya-8b": {
        "spa_Latn": (0.114, 0.415),
        "fra_Latn": (0.087, 0.251),
        "deu_Latn": (0.119, 0.444),
        "jpn_Jpan": (0.034, 0.307),
    },
    "bloom-7b": {
        "spa_Latn": (0.008, 0.551),
        "fra_Latn": (0.011, 0.434),
        "deu_Latn": (0.006, 0.032),
        "jpn_Jpan": (0.002, 0.043),
    },
    "polylm-13b": {
        "spa_Latn": (0.082, 0.178),
        "fra_Latn": (0.067, 0.130),
        "deu_Latn": (0.029, 0.171),
        "jpn_Jpan": (0.000, 0.040),
    },
}
BUCC: dict[str, dict[str, tuple[float, float]]] = {
    "aya-8b": {"fra_Latn": (0.012, 0.073), "deu_Latn": (0.017, 0.332)},
    "bloom-7b": {"fra_Latn": (0.000, 0.287), "deu_Latn": (0.000, 0.020)},
    "polylm-13b": {"fra_Latn": (0.006, 0.286), "deu_Latn": (0.008, 0.281)},
}

# Tables 3 and 5, PAWS-X within a language: original, edited, original query and edited candidates
WITHIN: dict[str, dict[str, tuple[float, float, float]]] = {
    "aya-8b": {
        "eng_Latn": (0.87, 0.87, 0.56),
        "spa_Latn": (0.85, 0.86, 0.64),
        "fra_Latn": (0.83, 0.83, 0.75),
        "deu_Latn": (0.82, 0.82, 0.62),
        "jpn_Jpan": (0.70, 0.76, 0.55),
    },
    "bloom-7b": {
        "eng_Latn": (0.80, 0.80, 0.71),
        "spa_Latn": (0.80, 0.80, 0.33),
        "fra_Latn": (0.80, 0.80, 0.26),
        "deu_Latn": (0.72, 0.75, 0.22),
        "jpn_Jpan": (0.47, 0.59, 0.07),
    },
    "polylm-13b": {
        "eng_Latn": (0.55, 0.53, 0.48),
        "spa_Latn": (0.52, 0.56, 0.41),
        "fra_Latn": (0.52, 0.50, 0.44),
        "deu_Latn": (0.50, 0.55, 0.39),
        "jpn_Jpan": (0.57, 0.57, 0.32),
    },
}


def _row(values: str) -> dict[str, float | None]:
    """The paper's columns: Spanish, French, English, German, Japanese."""
    codes = ("spa_Latn", "fra_Latn", "eng_Latn", "deu_Latn", "jpn_Jpan")
    read = [None if value == "NA" else float(value) for value in values.split()]
    return dict(zip(codes, read, strict=True))


# Table 2, Pearson's r over candidate languages
CORRELATIONS: dict[str, dict[str, dict[str, float | None]]] = {
    "aya-8b": {
        "accuracy, distance: after": _row("-.51 -.64 -.94 -.89 -.02"),
        "accuracy, distance: before": _row("-.89 -.86 -.80 -.87 -.96"),
        "distance after, before": _row(".48 .51 .65 .33 .27"),
        "gain, shrinkage": _row(".86 .89 .10 .52 .89"),
    },
    "bloom-7b": {
        "accuracy, distance: after": _row("-.97 -.98 -.89 -.90 -.90"),
        "accuracy, distance: before": _row("-.83 -.89 -.89 -.50 NA"),
        "distance after, before": _row(".79 .75 .97 .95 -.48"),
        "gain, shrinkage": _row(".10 .23 .23 -.72 .64"),
    },
    "polylm-13b": {
        "accuracy, distance: after": _row("-.44 -.44 -.86 -.01 -.52"),
        "accuracy, distance: before": _row("-.84 -.90 -.84 -.95 -.96"),
        "distance after, before": _row(".70 .66 .99 .15 .73"),
        "gain, shrinkage": _row(".10 .30 .28 -.04 .25"),
    },
}

"""No effect, no finding: a small case of `benchmarks/pair_tests.py`."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import pearsonr

from mechsteer.pairwise import crossed, mantel, mrm, partial_mantel
from tests.pairwise.planted import of_languages
from tests.shape_checks import unchecked

SIMULATIONS, N = 40, 12
LIMIT = 0.15  # of true 5 %, one series in a hundred has more


def test_false_positives_stay_rare_where_those_of_pearson_do_not() -> None:
    found = dict.fromkeys(("pearson", "mantel", "partial", "mrm", "crossed"), 0)
    with unchecked():  # the annotations of a thousand small fits would cost ten times the fits
        for seed in range(SIMULATIONS):
            rng = np.random.default_rng(seed)
            z, x, y = (of_languages(rng, N) for _ in range(3))
            x, y = x + 0.7 * z, y + 0.7 * z
            upper = np.triu_indices(N, 1)
            free = of_languages(rng, N)
            found["pearson"] += pearsonr(free[upper], x[upper]).pvalue <= 0.05
            found["mantel"] += mantel(free, x, permutations=59, seed=seed).p <= 0.05
            found["partial"] += partial_mantel(y, x, {"z": z}, permutations=59, seed=seed).p <= 0.05
            for name, test in (("mrm", mrm), ("crossed", crossed)):
                result = test({"y": y}, {"x": x, "z": z}, permutations=59, seed=seed)["y"]
                found[name] += result.effects[0].p <= 0.05
    rates = {name: count / SIMULATIONS for name, count in found.items()}
    assert rates.pop("pearson") > 0.15
    assert max(rates.values()) <= LIMIT, rates


@pytest.mark.parametrize("share", [0.0, 0.95])
def test_p_values_are_even_whatever_languages_share(share: float) -> None:
    p = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        p.append(
            mantel(
                of_languages(rng, N, share=share), of_languages(rng, N), permutations=39, seed=seed
            ).p
        )
    assert 0.35 < np.mean(p) < 0.65

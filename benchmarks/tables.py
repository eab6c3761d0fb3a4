"""Say in Markdown what ``benchmarks/results/cpu.csv`` holds: ``python -m benchmarks.tables``."""

from __future__ import annotations

import pandas as pd

from benchmarks.__main__ import RESULTS
from benchmarks.scoring import LANGUAGES, SENTENCES

_ROWS = {
    "scikit-learn loop": "scikit-learn, a call per neuron and language",
    "torchmetrics loop": "torchmetrics, the same loop",
    "torch.sort": "tie-exact `torch.sort`, eager",
    "torch.sort, packed": "tie-exact `torch.sort` of packed integers",
    "torch.sort, compiled": "tie-exact `torch.sort`, `torch.compile`",
    "mechsteer numpy": "mechsteer, numpy only",
    "mechsteer": "**mechsteer, AP and AUROC**",
    "mechsteer with moments": "mechsteer, with mean, median and deviations",
}


def scoring_table(found: pd.DataFrame) -> str:
    """Costs of bfloat16, neuron-major scoring: a row a method, a column a number of languages."""
    plain = found[(found.op == "score") & (found.dtype == "bfloat16")]
    costs = plain.set_index(["method", "shape"])["ns_per_element"]
    head = ["method", *(f"{n} language{'s' * (n > 1)}" for n in LANGUAGES)]
    lines = [head, ["---"] * len(head)]
    for method, words in _ROWS.items():
        if method in costs.index:
            cells = [_cost(costs[method], languages) for languages in LANGUAGES]
            lines.append([words, *(f"**{c}**" if "**" in words else c for c in cells)])
    return "\n".join(f"| {' | '.join(line)} |".replace("| --- ", "|---") for line in lines)


def _cost(costs: pd.Series[float], languages: int) -> str:
    end = f" x {languages} languages"
    (value,) = (v for shape, v in costs.items() if str(shape).endswith(end))
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def main() -> None:
    """Print the table and what it was measured on."""
    found = pd.read_csv(RESULTS)
    print(scoring_table(found))
    first = found.iloc[0]
    print(
        f"\nN = {SENTENCES}; {first.machine}, one core; mechsteer {first.mechsteer}, "
        f"torch {first.torch}, numpy {first.numpy}, numba {first.numba}, "
        f"scikit-learn {first.scikit_learn}; {first.date}"
    )


if __name__ == "__main__":
    main()

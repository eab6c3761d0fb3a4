"""Every family of the roster passes the self-test, and is read as PyTorch's own hooks read it."""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = "1"

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mechsteer.errors import MechsteerError, ModelError
from mechsteer.model.hooks import read
from mechsteer.model.load import load_model
from mechsteer.model.sites import find_site
from tests.families.edited import unexplained_by_a_card
from tests.families.roster import FAMILIES, TESTED
from tests.families.rows import Family
from tests.families.table import BEGIN, END, PAGE, Outcome, lines, outcome_of

SUPPORTED = [key for key, family in TESTED.items() if family.sites]
NAMED = [key for key, family in TESTED.items() if family.mlp]
# sums in another order: a few roundings of float32 through three layers
REBUILT = 2e-5
WRITERS = [
    key for key in SUPPORTED if "post" in TESTED[key].sites and "decoder" in TESTED[key].kind
]
Outcomes = dict[str, tuple[Outcome, Path]]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    root = tmp_path_factory.mktemp("families")
    return {
        key: (outcome_of(family, root / key, others=False), root / key)
        for key, family in TESTED.items()
    }


@pytest.mark.parametrize("key", SUPPORTED)
def test_a_tiny_checkpoint_passes_the_self_test(outcomes: Outcomes, key: str) -> None:
    found, _ = outcomes[key]
    assert not found.refusal
    assert not [check for check in found.checks if check.verdict in ("failed", "refused")]
    measured = {check.name for check in found.checks if check.difference is not None}
    assert {f"sites: {name}" for name in FAMILIES[key].sites} <= measured
    assert {"padding", "batches", "embeddings", "edit: before", "edit: left behind"} <= measured
    if FAMILIES[key].kind == "decoder":
        assert {"generation", "generation, edited", "logits", "edit: W_out"} <= measured


@pytest.mark.parametrize("key", [key for key in TESTED if key not in SUPPORTED])
def test_what_is_not_supported_is_refused_with_the_reason(outcomes: Outcomes, key: str) -> None:
    assert FAMILIES[key].note in outcomes[key][0].refusal


@pytest.mark.parametrize("key", NAMED)
def test_neurons_are_what_hooks_on_modules_found_by_name_see(outcomes: Outcomes, key: str) -> None:
    family, folder = FAMILIES[key], outcomes[key][1]
    model = load_model(folder, device="cpu")
    batch = model.plain_tokenizer(
        ["the cat", "le chat est assis sur le tapis"], return_tensors="pt", padding=True
    )
    ids, mask = batch["input_ids"], batch["attention_mask"]
    points = [point for name in family.sites for point in find_site(model, name).points]
    ours: dict[str, Tensor] = {}
    with torch.inference_mode():
        read(model, ids, mask, {p.hook: partial(_keep, ours, p.hook) for p in points})
    theirs = _by_name(family, folder, ids, mask)
    for point in points:
        x = ours[point.hook][mask.bool()]
        y = theirs[point.component, point.layer].reshape(*mask.shape, -1)[mask.bool()]
        worst = float((x - y).abs().max() / y.abs().max())
        assert worst <= (REBUILT if family.rebuilt else 0.0), point


def _keep(seen: dict[Any, Tensor], name: Any, z: Tensor) -> None:
    seen[name] = z.clone()  # some models go on in place


def _by_name(
    family: Family, folder: Path, ids: Tensor, mask: Tensor
) -> dict[tuple[str, int], Tensor]:
    """Activations of every MLP of the plain model, at the paths that the roster names."""
    import transformers

    model = getattr(transformers, family.model).from_pretrained(folder, attn_implementation="eager")
    seen: dict[tuple[str, int], Tensor] = {}
    modules, mlp, layer = dict(model.named_modules()), family.mlp, 0
    assert mlp is not None
    while (down := modules.get(mlp.down.format(layer))) is not None:
        up = modules[mlp.up.format(layer)]
        gate = modules[mlp.gate.format(layer)] if mlp.gate else None
        fused = gate is up
        down.register_forward_pre_hook(_keep_input(seen, layer))
        down.register_forward_hook(_keep_output(seen, "down", layer))
        up.register_forward_hook(_keep_output(seen, "up", layer, half=1 if fused else None))
        if gate is not None:
            gate.register_forward_hook(_keep_output(seen, "gate", layer, half=0 if fused else None))
        layer += 1
    with torch.inference_mode():
        model.eval()(ids, attention_mask=mask)
    return seen


def _keep_input(seen: dict[tuple[str, int], Tensor], layer: int) -> Any:
    return lambda module, args: _keep(seen, ("post", layer), args[0])


def _keep_output(
    seen: dict[tuple[str, int], Tensor], name: str, layer: int, *, half: int | None = None
) -> Any:
    def keep(module: Any, args: Any, out: Tensor) -> None:
        _keep(seen, (name, layer), out if half is None else out.chunk(2, dim=-1)[half])

    return keep


@pytest.mark.parametrize("key", WRITERS)
def test_a_card_says_how_a_small_edit_moves_the_logits(outcomes: Outcomes, key: str) -> None:
    limit = {"doge": 2e-2}.get(
        key, 1e-3
    )  # its last layer moves logits by little more than rounding
    assert unexplained_by_a_card(load_model(outcomes[key][1], device="cpu")) < limit


@pytest.mark.parametrize("key", ["gpt2", "gemma3", "granite", "doge"])
def test_a_card_of_an_earlier_layer_goes_past_those_behind(checkpoint: Any, key: str) -> None:
    assert unexplained_by_a_card(load_model(checkpoint(key), device="cpu"), layer=0) < 1e-3


@pytest.mark.parametrize("layer", [1, -1])
@pytest.mark.parametrize("key", ["gpt2", "gemma2", "granite", "llama", "mbart_decoder"])
def test_a_card_of_a_dimension_says_how_a_small_edit_moves_the_logits(
    checkpoint: Any, key: str, layer: int
) -> None:
    model = load_model(checkpoint(key), device="cpu")
    assert unexplained_by_a_card(model, layer=layer, site="residual") < 1e-3


def test_the_documentations_table_says_what_the_self_tests_say(outcomes: Outcomes) -> None:
    written = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    rows = (written.strip() + "\n").splitlines(keepends=True)
    heads, tested = 2, list(lines([found.row() for found, _ in outcomes.values()]))
    assert rows[:heads] == tested[:heads]
    start = tuple(row.removesuffix(" |\n") for row in tested[heads:])
    found = [row for row in rows if row.startswith(start)]
    assert [a.startswith(b) for a, b in zip(found, start, strict=True)] == [True] * len(start)
    titles = [f"| {family.title} |" for family in FAMILIES.values()]
    assert all(row.startswith(title) for row, title in zip(rows[heads:], titles, strict=True))


def test_a_family_that_fails_has_no_row(outcomes: Outcomes) -> None:
    found, _ = outcomes["llama"]
    broken = replace(found, checks=(replace(found.checks[0], verdict="failed"),))
    with pytest.raises(MechsteerError, match="does not pass"):
        broken.row()


@pytest.mark.parametrize(
    ("gone", "what"), [("model.safetensors", "weights"), ("token", "tokenizer")]
)
def test_a_folder_that_is_not_whole_says_what_it_lacks(
    outcomes: Outcomes, tmp_path: Path, gone: str, what: str
) -> None:
    for file in outcomes["llama"][1].iterdir():
        if not file.name.startswith(gone):
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(ModelError, match=f"the folder has no {what}"):
        load_model(tmp_path, device="cpu")

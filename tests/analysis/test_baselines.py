from __future__ import annotations

import numpy as np
import pytest
import torch

from mechsteer.analysis import by_pair, centre, language_means, retrieval, shift_to
from mechsteer.errors import MechsteerError


def split(seed, *, n=40, layers=()):
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(*layers, n, 6, generator=generator) + i
        for i, name in enumerate(("deu_Latn", "spa_Latn", "zho_Hans"))
    }


def test_centring_takes_away_the_mean_of_dev_not_of_test():
    dev, test = split(0), split(1)
    centred = centre(test, language_means(dev))
    for name, x in test.items():
        expected = x.numpy() - dev[name].numpy().astype(np.float64).mean(0)
        # The result is rounded to float32 once: 2.4e-7 for values below 4.
        np.testing.assert_allclose(centred[name].numpy(), expected, rtol=0, atol=5e-7)
        assert centred[name].mean(0).abs().max() > 1e-2


def test_centring_what_was_fitted_leaves_no_mean():
    dev = split(0)
    for x in centre(dev, language_means(dev)).values():
        # The mean of 40 values, each rounded to float32.
        assert x.mean(0).abs().max() < 1e-6


def test_shifting_puts_every_language_on_the_targets_mean_and_leaves_the_target():
    dev = split(0)
    moved = shift_to(dev, language_means(dev), target="spa_Latn")
    assert torch.equal(moved["spa_Latn"], dev["spa_Latn"])
    for x in moved.values():
        torch.testing.assert_close(x.mean(0), dev["spa_Latn"].mean(0), rtol=0, atol=1e-6)


def test_every_layer_has_its_own_mean():
    dev, test = split(0, layers=(3,)), split(1, layers=(3,))
    together = centre(test, language_means(dev))
    for layer in range(3):
        alone = centre(
            {name: x[layer] for name, x in test.items()},
            language_means({name: x[layer] for name, x in dev.items()}),
        )
        for name, x in alone.items():
            assert torch.equal(together[name][layer], x)


def test_centring_undoes_planted_language_offsets():
    generator = torch.Generator().manual_seed(5)
    dev_meaning, test_meaning = torch.randn(2, 200, 16, generator=generator)
    offsets = {name: 5 * torch.randn(16, generator=generator) for name in "abc"}
    dev, test = (
        {name: meaning + offset for name, offset in offsets.items()}
        for meaning in (dev_meaning, test_meaning)
    )
    assert by_pair(retrieval(test).top1).float().mean() < 0.8
    assert by_pair(retrieval(centre(test, language_means(dev))).top1).all()


def test_the_dtype_of_the_embeddings_is_kept():
    half = {name: x.half() for name, x in split(0).items()}
    assert all(x.dtype == torch.float16 for x in centre(half, language_means(half)).values())


@pytest.mark.parametrize(
    "apply", [centre, lambda test, means: shift_to(test, means, target="deu_Latn")]
)
def test_a_language_without_a_fitted_mean_is_named(apply):
    means = language_means(split(0))
    del means["zho_Hans"]
    with pytest.raises(MechsteerError, match="fitted for zho_Hans; fitted: deu_Latn, spa_Latn"):
        apply(split(1), means)


def test_an_unknown_target_is_named():
    with pytest.raises(MechsteerError, match="fitted for fra_Latn"):
        shift_to(split(1), language_means(split(0)), target="fra_Latn")


def test_means_of_other_layers_are_refused_rather_than_broadcast():
    with pytest.raises(MechsteerError, match="does not fit embeddings"):
        centre(split(1, layers=(3,)), language_means(split(0)))


def test_a_bad_row_is_named_with_its_layer():
    dev = split(0, layers=(3,))
    dev["spa_Latn"][2, 5, 0] = torch.nan
    with pytest.raises(MechsteerError, match="spa_Latn: NaN or infinity in layer 2, row 5"):
        language_means(dev)

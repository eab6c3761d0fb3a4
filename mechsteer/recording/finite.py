"""What to do where a model computes what is no number: said in one way everywhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from mechsteer.errors import MechsteerError
from mechsteer.model.sites import HookSite


def remedy(dtype: torch.dtype) -> str:
    """What to type when activations or logits are not finite in a precision."""
    if dtype == torch.float16:
        return (
            "float16 ends at 65504, so load the model with dtype=torch.bfloat16 or torch.float32 "
            "(--dtype bfloat16 or float32), or take a smaller strength if edits are on"
        )
    name = str(dtype).removeprefix("torch.")
    other = "" if dtype == torch.float32 else ", load it in float32 (--dtype float32)"
    return f"take a smaller strength if edits are on{other}, or check the weights ({name})"


@contextmanager
def naming(point: HookSite, *, first: int = 0) -> Iterator[None]:
    """Within, what a kernel refuses is said of a hook point: kernels know columns, not layers.

    Args:
        point: whose neurons the columns are.
        first: the neuron of column 0.

    Raises:
        MechsteerError: a kernel raised ``ValueError``.
    """
    try:
        yield
    except MechsteerError:
        raise
    except ValueError as error:
        said = re.sub(
            r"\bcolumn (\d+)", lambda found: f"column {int(found[1]) + first}", str(error)
        )
        raise MechsteerError(f"{point.layer_name}, {point.component}: {said}") from None

"""The sizes of a model that decide what a run costs, of a loaded one or of its configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mechsteer.errors import ModelError
from mechsteer.model.checkpoint import default_dtype
from mechsteer.model.interface import Model
from mechsteer.model.linear import features
from mechsteer.model.loaders import quiet
from mechsteer.model.plain.model import owners_of
from mechsteer.model.plain.structure import find_stack
from mechsteer.model.sites import find_site, residual_points

_PLAIN_SITES = ("post", "dense")


@dataclass(frozen=True)
class Sizes:
    """What decides the cost of a model.

    Attributes:
        name: as it was named.
        parameters: weights of all of it.
        multiplied: weights that each token is multiplied with in a recording: all matrices but
            embeddings and the unembedding, which a recording does not run; of routed experts those
            that one token takes.
        widths: neurons of each hook point of the site.
        d_model: width of the residual stream.
        rows: rows of the residual stream: embedding, blocks and the final norm.
        mixed: layers times the width of all queries together, which attention mixes.
        heads: of attention, in a layer.
        itemsize: bytes of a weight and of an activation.
        context: tokens that it takes at most.
    """

    name: str
    parameters: int
    multiplied: int
    widths: tuple[int, ...]
    d_model: int
    rows: int
    mixed: int
    heads: int
    itemsize: int
    context: int

    @property
    def n_neurons(self) -> int:
        """Of the site."""
        return sum(self.widths)

    @property
    def weight_bytes(self) -> int:
        """Of all weights in memory."""
        return self.parameters * self.itemsize

    def flops(self, tokens: int, squares: int) -> int:
        """Operations of a pass without the unembedding: ``2 W T + 4 q Σ n²``.

        Args:
            tokens: of all batches, padding included.
            squares: of each sentence the tokens it has with its padding, squared, summed.
        """
        return 2 * self.multiplied * tokens + 4 * self.mixed * squares


def sizes_of(model: Model, site: str) -> Sizes:
    """The sizes of a loaded model.

    Raises:
        SiteError: its neurons cannot be read.
    """
    residual = residual_points(model)
    widths = tuple(point.width for point in find_site(model, site).points)
    return _sizes(
        str(model.cfg.model_name),
        model.original_model,
        widths,
        rows=len(residual),
        d_model=residual[0].width,
        itemsize=model.dtype.itemsize,
        context=model.context_length(),
    )


def declared_sizes(source: str, site: str, dtype: torch.dtype | None, device: str) -> Sizes:
    """The sizes of a model by its configuration alone: it is built of tensors without numbers.

    Args:
        source: a folder with a ``config.json``, or a published name.
        site: ``"post"``; of other sites the weights are asked.
        dtype: of the weights; that of the checkpoint on a GPU and float32 on a processor otherwise.
        device: the kind of device, ``"cpu"`` or ``"cuda"``.

    Raises:
        ModelError: a configuration that tells too little.
    """
    if site not in _PLAIN_SITES:
        raise ModelError(
            f"a configuration alone does not say what neurons site {site!r} has: plan site 'post', "
            "or name a model with its weights, without --gpu"
        )
    with quiet():
        config, model = _built(source)
    try:
        stacks = [find_stack(model, owner) for owner in owners_of(model).values()]
    except ModelError as error:
        raise ModelError(
            f"the configuration of {source} does not say how many neurons it has ({error}): name a "
            "model with its weights, without --gpu"
        ) from None
    widths = tuple((features(mlp.out) or (0, 0))[0] for stack in stacks for mlp in stack.mlps)
    kind = dtype or default_dtype(config, torch.device(device))
    context = getattr(config, "max_position_embeddings", None)
    return _sizes(
        source,
        model,
        widths,
        rows=len(stacks[0].blocks) + 2,
        d_model=int(config.hidden_size),
        itemsize=kind.itemsize,
        context=int(context or 1 << 20),
    )


def _built(source: str) -> tuple[Any, Any]:
    """The configuration, and the model without weights that it describes."""
    import transformers

    try:
        config = transformers.AutoConfig.from_pretrained(source, trust_remote_code=False)
        name = (getattr(config, "architectures", None) or [""])[0]
        cls = getattr(transformers, name, transformers.AutoModel)
        build = getattr(cls, "_from_config", None) or cls.from_config
        with torch.device("meta"):
            return config, build(config).eval()
    except Exception as error:  # of the hub, of JSON, of each architecture
        line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(
            f"cannot plan {source}: its configuration cannot be read: {line}"
        ) from None


def _sizes(name: str, model: Any, widths: tuple[int, ...], **known: int) -> Sizes:
    config = model.config.get_text_config() if hasattr(model.config, "get_text_config") else None
    config = config or model.config
    layers = int(getattr(config, "num_hidden_layers", 0) or known["rows"] - 2)
    heads = int(getattr(config, "num_attention_heads", 0) or 1)
    per_head = getattr(config, "head_dim", None) or known["d_model"] // heads
    return Sizes(
        name=name,
        parameters=sum(p.numel() for p in model.parameters()),
        multiplied=_multiplied(model, config),
        widths=widths,
        mixed=layers * heads * int(per_head),
        heads=heads,
        **known,
    )


def _multiplied(model: Any, config: Any) -> int:
    """Weights of all matrices but embeddings and the head; of routed experts a token's share."""
    tables = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    head = getattr(model.get_output_embeddings() or object(), "weight", None)
    tables.add(id(head))
    n_experts = getattr(config, "num_local_experts", None) or getattr(config, "num_experts", None)
    share = int(getattr(config, "num_experts_per_tok", 0) or 0) / n_experts if n_experts else 1
    total = 0.0
    for name, weight in model.named_parameters():
        if weight.ndim >= 2 and id(weight) not in tables:
            total += weight.numel() * (share if ".experts." in name else 1)
    return int(total)


def is_configuration(source: str) -> bool:
    """Whether a source is a folder with a configuration and without weights."""
    from mechsteer.model.folder import weight_files

    folder = Path(source).expanduser()
    return (folder / "config.json").is_file() and not weight_files(folder)

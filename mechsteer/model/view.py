"""A module that the user holds, seen as mechsteer sees a model: what its makers must give.

A view holds no weights of its own, and what it does not define itself is that of its module.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Literal, TypeVar

from torch import Tensor

from mechsteer.model.facts import Facts
from mechsteer.model.hugging_face import HuggingFaceModel

_Self = TypeVar("_Self", bound="View")

Writer = Literal["transformers", "TransformerLens"]
"""Whose ``generate`` writes: the Hugging Face model's own, or that of the bridge."""


class View(ABC):
    """What differs between a bridge and a plain model, and what stays with either.

    Attributes:
        module: what the user holds and calls: a TransformerBridge, a Hugging Face or a PEFT model.
        runs_once: names of hook points that were seen to run once in a forward pass.
        facts: what else was found out about it once.
        writer: whose code its ``generate`` is.
    """

    writer: Writer = "transformers"

    def __init__(self, module: Any) -> None:
        self.module: Any = module
        self.runs_once: set[str] = set()
        self.facts = Facts()
        self._added: dict[str, Any] = {}

    @property
    @abstractmethod
    def original_model(self) -> HuggingFaceModel:
        """The Hugging Face model that runs."""

    @property
    @abstractmethod
    def cfg(self) -> Any:
        """``architecture``, ``model_name``, ``d_model``, ``n_layers``, ``n_ctx`` and more."""

    @property
    @abstractmethod
    def hook_dict(self) -> dict[str, Any]:
        """Every hook point by its names, those that mechsteer added too.

        Ask once and keep the answer: TransformerLens builds the table anew at each access.
        """

    @abstractmethod
    def __call__(self, *args: Any, **inputs: Any) -> Any:
        """Run the model on token ids, as a bridge is called; logits unless told otherwise.

        Threads that run one model through its view take turns.
        """

    @abstractmethod
    def generate(self, *args: Any, **options: Any) -> Any:
        """Continue a prompt, given as text or as token ids ``[sentence, token]``, in turns."""

    @abstractmethod
    def require_raw(self) -> None:
        """Refuse processed weights, which shift the residual stream of LayerNorm models.

        Raises:
            ModelError: the bridge is in compatibility mode.
        """

    @property
    @abstractmethod
    def unembedding(self) -> Tensor | None:
        """``[d_model, token]``, None where nothing turns the residual stream into words."""

    @property
    @abstractmethod
    def source(self) -> str:
        """The name or folder that the model says it was loaded from, or ``""``."""

    def add_hook_point(self, name: str) -> Any:
        """A hook point of ours, which ``hook_dict`` lists beside the model's own."""
        from transformer_lens.hook_points import HookPoint

        point = HookPoint()
        point.name = name
        self._added[name] = point
        return point

    def drop_hook_point(self, name: str) -> None:
        """Forget a hook point of ours."""
        del self._added[name]

    def eval(self: _Self) -> _Self:
        """Leave train mode."""
        self.module.eval()
        return self

    def train(self: _Self, mode: bool = True) -> _Self:
        """Enter train mode, which every measurement refuses."""
        self.module.train(mode)
        return self

    def __getattr__(self, name: str) -> Any:
        """What the module has, where the view has nothing of that name."""
        if name.startswith("__") or "module" not in vars(self):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.module, name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.cfg.architecture}, {self.cfg.model_name!r})"

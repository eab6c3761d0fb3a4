"""The view of a TransformerBridge."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from mechsteer.errors import ModelError
from mechsteer.model.hugging_face import HuggingFaceModel
from mechsteer.model.interface import Model
from mechsteer.model.norms import spare_norms
from mechsteer.model.view import Writer


class BridgeModel(Model):
    """A TransformerBridge behind mechsteer's interface.

    Everything of the bridge is there under its own name (``run_with_cache``, ``to_tokens``,
    ``blocks``), and attributes that are set on the view are set on the bridge.

    Args:
        bridge: a ``transformer_lens.model_bridge.TransformerBridge``.
    """

    writer: Writer = "TransformerLens"

    def __init__(self, bridge: Any) -> None:
        super().__init__(bridge)
        spare_norms(bridge)

    @property
    def original_model(self) -> HuggingFaceModel:
        """The Hugging Face model that the bridge wraps."""
        wrapped: HuggingFaceModel = self.module.original_model
        return wrapped

    @property
    def cfg(self) -> Any:
        """The bridge's configuration."""
        return self.module.cfg

    @property
    def hook_dict(self) -> dict[str, Any]:
        """See ``Model``."""
        return {**self.module.hook_dict, **self._added}

    @property
    def unembedding(self) -> Tensor | None:
        """See ``Model``; the heads of encoders do more than that."""
        head = getattr(self.module, "unembed", None)
        return getattr(head, "W_U", None) if self.is_causal or self.is_encoder_decoder else None

    @property
    def source(self) -> str:
        """See ``Model``."""
        return str(getattr(getattr(self.module, "tokenizer", None), "name_or_path", ""))

    def __call__(self, *args: Any, **inputs: Any) -> Any:
        """See ``Model``."""
        with self.facts.lock:
            return self.module(*args, **inputs)

    def generate(self, *args: Any, **options: Any) -> Any:
        """See ``Model``; with TransformerLens's options.

        Raises:
            ModelError: with a cache it writes something else than without.
        """
        from mechsteer.model.cached import keeps_cache, require_correct_cache

        with self.facts.lock:
            if keeps_cache(self, args, options):
                require_correct_cache(self, self.writer)
            return self.module.generate(*args, **options)

    def require_raw(self) -> None:
        """See ``Model``."""
        if getattr(self.module, "compatibility_mode", False):
            raise ModelError(
                "compatibility mode shifts the residual stream, so its embeddings compare to "
                "nobody else's: load the model again and leave enable_compatibility_mode() out"
            )

    def __setattr__(self, name: str, value: Any) -> None:
        """Set on the bridge what is the bridge's."""
        if name in _OWN or hasattr(type(self), name):
            object.__setattr__(self, name, value)
        else:
            setattr(self.module, name, value)


_OWN = frozenset({"module", "runs_once", "facts", "_added", "_tokenizer", "_origin"})

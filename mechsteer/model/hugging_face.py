"""The type of a Hugging Face model, which needs no import of transformers."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class HuggingFaceModel(Protocol):
    """A ``transformers.PreTrainedModel``: a module with a configuration.

    Attributes:
        config: the model's configuration.
        training: whether it is in train mode.
    """

    config: Any
    training: bool

    def __call__(self, *args: Any, **inputs: Any) -> Any:
        """Run it."""

    def __getattr__(self, name: str) -> Any:
        """Everything else of the model, which is not checked."""

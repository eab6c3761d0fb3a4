"""The k best neurons of one class without scoring all of them."""

from .operation import TopExperts, top_experts

__all__ = ["TopExperts", "top_experts"]

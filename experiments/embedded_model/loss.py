"""Cross-entropy over the vocabulary that never holds all the logits.

The unembedding is nearly half of the work of so small a model. Chunk by chunk, this
computes logits, probabilities and both gradients in one pass: in bfloat16, whose softmax
kernel accumulates in float32, and without the [tokens, vocabulary] matrix in float32 that
makes the ordinary loss slow on a CPU.
"""

from __future__ import annotations

import torch

IGNORE = -100
CHUNK = 1024


class ChunkedCrossEntropy(torch.autograd.Function):
    """Sum of the negative log-likelihoods of the targets that are not `IGNORE`."""

    @staticmethod
    def forward(ctx, hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor):
        """Computes the gradients at once, since the probabilities are at hand."""
        grad_hidden = torch.empty_like(hidden)
        grad_weight = torch.zeros_like(weight, dtype=torch.float32)
        total = torch.zeros(())
        for start in range(0, len(hidden), CHUNK):
            part = slice(start, start + CHUNK)
            keep = (targets[part] != IGNORE).unsqueeze(1)
            index = targets[part].clamp(min=0).unsqueeze(1)
            probs = torch.softmax(hidden[part] @ weight.T, dim=-1)
            chosen = probs.gather(1, index)
            total += (-chosen.float().clamp(min=1e-30).log() * keep).sum()
            probs.scatter_(1, index, chosen - 1)
            grad_hidden[part] = (probs @ weight) * keep
            grad_weight += probs.T @ (hidden[part] * keep)
        ctx.save_for_backward(grad_hidden, grad_weight.to(weight.dtype))
        return total

    @staticmethod
    def backward(ctx, grad: torch.Tensor):
        """Scales the stored gradients."""
        grad_hidden, grad_weight = ctx.saved_tensors
        return grad_hidden * grad, grad_weight * grad, None


def cross_entropy(
    hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor
) -> torch.Tensor:
    """Sum over all positions; `hidden` is [..., width], `targets` the same without width."""
    return ChunkedCrossEntropy.apply(hidden.flatten(0, -2), weight, targets.flatten())

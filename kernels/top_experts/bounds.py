r"""Rigorous bounds of a neuron's average precision from counts in bins, with no sort at all.

Bins follow the activation, the highest first. A bin that holds ``n`` positives and takes the counts
of positives and negatives from ``TP₀, FP₀`` to ``TP, FP`` adds to ``P · AP``

.. math::
    \frac{n}{2} \left(\frac{TP_0 + 1}{TP_0 + 1 + FP} + \frac{TP}{TP + FP}\right)
    \le \sum_{i \in bin} \frac{TP(i)}{TP(i) + FP(i)} \le n \frac{TP}{TP + FP_0}

On the left its negatives come first and its positives one by one (``t / (t + FP)`` is concave in t:
the sum is at least the trapezoid), on the right its positives come first and all tied. Ties and
whatever order hides in a bin are within. Negatives below the lowest positive change nothing.

A bin is a monotone function of the activation, in floating point too, since every operation in it
rounds monotonely. ``BINS`` of equal width span the lowest positive to the highest activation; half
activations keep the span finite.
"""

from __future__ import annotations

BINS = 256
SLACK = 2.0**-16
"""Bounds are compared as if wider by this share: more than 256 additions in float32 can lose, and
than the rounding of a score to float32."""


def bin_scale(span: float) -> float:
    """Bins for each unit of half activation, finite whatever the span.

    >>> bin_scale(0.5)
    510.0
    """
    return (BINS - 1) / max(span, 1e-36)

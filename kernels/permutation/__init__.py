"""Permutation tests of every neuron."""

from .operation import PermutationTest, permutation_test
from .plan import PermutationPlan, plan_permutations

__all__ = ["PermutationPlan", "PermutationTest", "permutation_test", "plan_permutations"]

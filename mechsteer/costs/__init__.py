"""What an edit costs the model itself: prediction, language, repetition; and what it answers."""

from mechsteer.costs.answer_files import read_answers, save_answers
from mechsteer.costs.answers import Answer, answer
from mechsteer.costs.confusion import PassRates, confusion, pass_rates, read_words
from mechsteer.costs.forcing import forcing, read_judged, save_for_judge
from mechsteer.costs.identify import in_language, language_probability
from mechsteer.costs.likelihood import divergence
from mechsteer.costs.measure import Cost, cost
from mechsteer.costs.ngrams import distinct, repetition
from mechsteer.costs.prediction import Comparison, Perplexity, compare, perplexity
from mechsteer.costs.prompts import Prompt, questions, read_prompts
from mechsteer.costs.sampling import Generations, respond, sample

__all__ = [
    "Answer",
    "Comparison",
    "Cost",
    "Generations",
    "PassRates",
    "Perplexity",
    "Prompt",
    "answer",
    "compare",
    "confusion",
    "cost",
    "distinct",
    "divergence",
    "forcing",
    "in_language",
    "language_probability",
    "pass_rates",
    "perplexity",
    "questions",
    "read_answers",
    "read_judged",
    "read_prompts",
    "read_words",
    "repetition",
    "respond",
    "sample",
    "save_answers",
    "save_for_judge",
]

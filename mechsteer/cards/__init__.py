"""Neuron cards: what one neuron detects, what fires it, and what it writes."""

from mechsteer.cards.make import Subject, make_cards
from mechsteer.cards.store import Cards

__all__ = ["Cards", "Subject", "make_cards"]

"""How languages resemble each other: typology, families, places, words, scripts and texts."""

from mechsteer.typology.pairs import ALL, KINDS, PairMeasures, distances

__all__ = ["ALL", "KINDS", "PairMeasures", "distances"]

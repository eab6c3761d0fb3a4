"""How languages resemble each other: typology, families, places, words, scripts and texts."""

from mechsteer.typology.characteristics import characteristics
from mechsteer.typology.lineages import lineages
from mechsteer.typology.matrices import LayerSimilarities, read_layers
from mechsteer.typology.pairs import ALL, KINDS, PairMeasures, distances
from mechsteer.typology.published import PublishedPairs, read_published_pairs, split_pair
from mechsteer.typology.texts import bits_per_byte, fertility, overlaps

__all__ = [
    "ALL",
    "KINDS",
    "LayerSimilarities",
    "PairMeasures",
    "PublishedPairs",
    "bits_per_byte",
    "characteristics",
    "distances",
    "fertility",
    "lineages",
    "overlaps",
    "read_layers",
    "read_published_pairs",
    "split_pair",
]

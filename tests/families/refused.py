"""Families that are refused, with a part of the reason."""

from __future__ import annotations

from tests.families.encoders import OFFSET
from tests.families.rows import (
    VOCABULARY,
    Family,
)

REFUSED = (
    Family(
        "mamba", "Mamba", "state-spaces/mamba-130m-hf", "MambaConfig", "MambaForCausalLM",
        {"hidden_size": 32, "num_hidden_layers": 2, "vocab_size": VOCABULARY, "state_size": 4},
        kind="other", sites=(), note="no MLP whose neurons can be read",
    ),
    Family(
        "albert", "ALBERT", "albert/albert-base-v2", "AlbertConfig", "AlbertModel",
        {**OFFSET, "embedding_size": 16}, kind="encoder", sites=(), note="to run once",
    ),
    Family(
        "xlm", "XLM", "FacebookAI/xlm-mlm-100-1280", "XLMConfig", "XLMModel",
        {"emb_dim": 32, "n_layers": 3, "n_heads": 4, "vocab_size": VOCABULARY},
        kind="encoder", sites=(), note="found 0 such lists",
    ),
    Family(
        "fnet", "FNet", "google/fnet-base", "FNetConfig", "FNetModel", OFFSET,
        kind="encoder", sites=(), note="padding changes what comes before it",
    ),
)  # fmt: skip

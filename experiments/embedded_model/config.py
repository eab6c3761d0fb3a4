"""Every constant of the embedded model in one place.

The steps (tokenizer, data, train, evaluate) are separate programs that must agree on
languages, sizes and paths; they all read them here, so a rerun changes one file.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("MECHSTEER_DATA", REPO.parent / "shared" / "data"))
WORK = Path(os.environ.get("MECHSTEER_WORK", Path(tempfile.gettempdir()) / "embedded_model"))
TRAIN = DATA / "train"
FLORES = DATA / "flores200"
SENTENCES = REPO / "mechsteer" / "embedded" / "sentences"
MODEL_DIR = REPO / "mechsteer" / "embedded" / "model"

TOKENIZER_DIR = WORK / "tokenizer"
ROWS_FILE = WORK / "rows.npy"
UNIGRAM_FILE = WORK / "unigram.npz"
STATS_FILE = WORK / "data_stats.json"
CHECKPOINT = WORK / "checkpoint.safetensors"
TRAIN_LOG = WORK / "train_log.jsonl"
RESULTS_FILE = WORK / "evaluation.json"

LANGUAGES = (
    "eng_Latn",
    "deu_Latn",
    "fra_Latn",
    "spa_Latn",
    "rus_Cyrl",
    "ell_Grek",
    "jpn_Jpan",
    "zho_Hans",
    "kor_Hang",
    "vie_Latn",
    "fin_Latn",
    "arb_Arab",
)
SPACELESS = ("jpn_Jpan", "zho_Hans")  # languages whose sentences are joined without a space

SEED = 20240607
HELD_OUT_PERCENT = 1

# Tokenizer
VOCAB_SIZE = 12288
BOS, EOS, PAD = "<s>", "</s>", "<pad>"
MAX_TOKEN_BYTES = 24  # else whole Chinese boilerplate sentences become one token
TOKENIZER_LINES = {"course": 12000, "bible": 10000, "free": 6000}

# Token stream
ROW_TOKENS = 256
STREAM_TOKENS = 24_000_000
TRANSLATION_SHARE = 0.72  # of documents; passages are longer, so about 57 % of tokens
TRIPLE_SHARE = 0.1  # of translation documents: three languages instead of two
BIBLE_PAIR_SHARE = 0.5  # of translation documents, where both languages have a Bible
MONO_DOMAINS = {"course": 0.4, "bible": 0.4, "free": 0.2}
MIN_PAIR_BYTES = 20  # shorter ones are table cells and headings

# Model
HIDDEN, MLP, LAYERS, HEADS, POSITIONS = 256, 768, 6, 8, 512

# Optimisation
BATCH_ROWS = 32
MICRO_ROWS = 8
MUON_LR = 3e-3  # with the update scaled to AdamW's root mean square
ADAM_LR = 3e-3
WEIGHT_DECAY = 0.02
WARMUP_STEPS = 50
FINAL_LR_SHARE = 0.05
GRAD_CLIP = 1.0
CHECKPOINT_SECONDS = 300
EXPORT_SECONDS = 600
FIRST_EXPORT_SECONDS = 240

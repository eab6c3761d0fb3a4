"""An edit's file, fetched from a repository of the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path

from mechsteer.errors import ArtifactError

FILE = "edit.safetensors"
"""Name of the file in a repository of the Hugging Face Hub."""


def fetch(address: str) -> Path:
    """Download the edit file of ``hf://owner/name[@revision]``, or find it in the cache.

    Raises:
        ArtifactError: the address is none, or its file cannot be had.
    """
    from huggingface_hub import hf_hub_download

    repo_id, _, revision = address.removeprefix("hf://").partition("@")
    if repo_id.count("/") != 1:
        raise ArtifactError(f"expected hf://owner/name or hf://owner/name@revision, got {address}")
    try:
        return Path(hf_hub_download(repo_id, FILE, revision=revision or None))
    except Exception as error:  # the client raises errors of many libraries
        raise ArtifactError(f"cannot load {address}: {first_line(error)}") from error


def first_line(error: Exception) -> str:
    """What an error of another library says, in one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]

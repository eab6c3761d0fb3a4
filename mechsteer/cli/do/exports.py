"""What the command that carries edits elsewhere does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mechsteer.cli.do.edits import edits_of, positions_of
from mechsteer.cli.do.models import open_model
from mechsteer.corpus.names.languages import canonical
from mechsteer.display import count
from mechsteer.errors import MechsteerError
from mechsteer.exports import (
    Checkpoint,
    checkpoint,
    control_vector,
    easysteer,
    neuronpedia,
    sentence_transformer,
    vllm_hook,
)
from mechsteer.exports.constant import require_everywhere
from mechsteer.interventions import Edit, ResidualEdit
from mechsteer.model.interface import Model


def export_command(
    files: Sequence[str],
    format_: str,
    output: Path,
    *,
    model: str | None = None,
    strengths: Sequence[float] = (),
    positions: str = "all",
    language: str | None = None,
    layer: int | None = None,
    architecture: str | None = None,
    model_id: str | None = None,
    device: str | None = None,
    dtype: str | None = None,
    widen: bool = False,
    no_layers: bool = False,
    tolerance: float | None = None,
    no_verify: bool = False,
) -> str:
    """Write the edits of some files in a format; returns what was written, in a line."""
    edits, where = edits_of(files, strengths), positions_of(positions)
    named = None if language is None else canonical(language)
    for_checkpoint = {
        "widen": widen or None, "no_layers": no_layers or None, "tolerance": tolerance,
        "no_verify": no_verify or None,
    }  # fmt: skip
    others = {"layer": layer, "architecture": architecture, "model_id": model_id}
    _require_used(format_, **others, **for_checkpoint)
    if format_ == "checkpoint":
        require_everywhere(where)
        opened = _model(edits, model, device, dtype)
        how: dict[str, Any] = {"positions": where, "language": named, "widen": widen}
        how |= {} if tolerance is None else {"tolerance": tolerance}
        return _said(
            checkpoint(opened, edits, output, layers=not no_layers, verify=not no_verify, **how)
        )
    if format_ == "sentence-transformers":
        opened = _model(edits, model, device, dtype)
        row = -1 if layer is None else layer
        sentence_transformer(opened, edits, output, layer=row, positions=where, language=named)
        return f"encoder: {output} (SentenceTransformer opens it with trust_remote_code)"
    require_everywhere(where)
    about = {"architecture": architecture, "model_id": model_id}
    return _vector(format_, _only(edits), output, named, **about)


def _said(made: Checkpoint) -> str:
    """What was written, in a line."""
    added = f"; config.json has {', '.join(made.switches)}" if made.switches else ""
    added += f"; {count(made.layers, 'layer')} more" if made.layers else ""
    added += f"; {count(made.widened, 'neuron')} more in each MLP" if made.widened else ""
    logits = "not verified" if made.ulps is None else f"logits {made.ulps:.2g} roundings away"
    return f"checkpoint: {made.folder} ({logits}{added})"


def _vector(
    format_: str,
    edit: Edit,
    output: Path,
    language: str | None,
    *,
    architecture: str | None,
    model_id: str | None,
) -> str:
    if format_ == "llama.cpp":
        if architecture is None:
            raise MechsteerError("llama.cpp asks for the architecture: --architecture llama, say")
        one = edit.of(language) if isinstance(edit, ResidualEdit) and language else edit
        control_vector(one, output, architecture=architecture)
    elif format_ == "neuronpedia":
        if model_id is None:
            raise MechsteerError("Neuronpedia asks for its name of the model: --model-id")
        neuronpedia(edit, output, model_id=model_id, language=language)
    else:
        write = {"easysteer": easysteer, "vllm-hook": vllm_hook}[format_]
        write(edit, output, language=language)
    return f"vector: {output}"


_USED = {
    "layer": "sentence-transformers",
    "architecture": "llama.cpp",
    "model_id": "neuronpedia",
    **dict.fromkeys(("widen", "no_layers", "tolerance", "no_verify"), "checkpoint"),
}


def _require_used(format_: str, **options: Any) -> None:
    """Refuse an option that another format has."""
    for name, value in options.items():
        if value is not None and _USED[name] != format_:
            flag = f"--{name.replace('_', '-')}"
            raise MechsteerError(f"{flag} is for --to {_USED[name]}, got --to {format_}")


def _only(edits: Sequence[Edit]) -> Edit:
    if len(edits) != 1:
        names = ", ".join(repr(edit.name) for edit in edits)
        raise MechsteerError(f"expected one edit for a vector, got {len(edits)} ({names})")
    return edits[0]


def _model(
    edits: Sequence[Edit], given: str | None, device: str | None, dtype: str | None
) -> Model:
    known = next((edit.model.name for edit in edits if edit.model), None)
    source = given or known
    if source is None:
        raise MechsteerError("the edit does not say which model it was made with: --model NAME")
    return open_model(source, device, dtype)

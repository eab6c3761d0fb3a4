"""Edits on the Hugging Face Hub: a repository of one edit file and a card that says what it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mechsteer import __version__
from mechsteer.artifacts.atomic import write_bytes
from mechsteer.errors import ArtifactError
from mechsteer.interventions.download import FILE, first_line
from mechsteer.interventions.edits import Edit, NeuronEdit, as_edits
from mechsteer.interventions.files import edit_bytes

_CARD = """---
library_name: mechsteer
{base}tags:
- mechsteer
- steering
- interpretability
---

# {name}

{count} of the forward pass of {model}, saved by mechsteer {version}. The file carries a SHA-256
over every byte of itself and is refused on any other model.

```python
import mechsteer as ms

model = ms.load_model({source!r})
with ms.steer(model, *ms.interventions.load_edits("hf://{name}")):
    print(model.generate("…", max_new_tokens=30))
```

{details}
"""


def prepare_folder(edits: Edit | Sequence[Edit], folder: str | Path, *, repo_id: str) -> Path:
    """Write what a repository holds: ``edit.safetensors`` and ``README.md``, its card.

    The card is made of what the edits say of themselves: their kind and size, where they act, the
    model they were made with, their provenance.

    Returns:
        the folder, ready for ``hf upload`` too.
    """
    folder = Path(folder)
    for name, data in _content(edits, repo_id).items():
        write_bytes(folder / name, data)
    return folder


def push_edit(
    edits: Edit | Sequence[Edit],
    repo_id: str,
    *,
    private: bool = False,
    revision: str | None = None,
    message: str = "Upload an edit with mechsteer",
) -> str:
    """Put an edit on the Hugging Face Hub; ``load_edit("hf://owner/name")`` gets it back.

    Args:
        edits: one, or several that act together in this order.
        repo_id: ``owner/name``, made if it does not exist.
        private: whether a repository that is made now can be seen by its owner alone.
        revision: branch to commit to.
        message: of the commit.

    Returns:
        the address of the commit.

    Raises:
        ArtifactError: the Hub cannot be reached, or refused.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    content = _content(edits, repo_id)
    try:
        HfApi().create_repo(repo_id, private=private, exist_ok=True)
        commit: Any = HfApi().create_commit(
            repo_id,
            [CommitOperationAdd(name, data) for name, data in content.items()],
            revision=revision,
            commit_message=message,
        )
    except Exception as error:  # the client raises errors of many libraries
        raise ArtifactError(f"cannot push to {repo_id!r}: {first_line(error)}") from error
    return str(commit.commit_url)


def _content(edits: Edit | Sequence[Edit], repo_id: str) -> dict[str, bytes]:
    """The files of a repository."""
    several = as_edits(edits)
    return {FILE: edit_bytes(several), "README.md": _card(several, repo_id).encode()}


def _card(edits: Sequence[Edit], repo_id: str) -> str:
    made_with = next((edit.model for edit in edits if edit.model), None)
    name = made_with.name if made_with else "a model it does not name"
    return _CARD.format(
        base=f"base_model: {json.dumps(name)}\n" if made_with else "",
        name=repo_id,
        count="One edit" if len(edits) == 1 else f"{len(edits)} edits, applied in this order,",
        model=f"`{name}`",
        source=name,
        version=__version__,
        details="\n\n".join(map(_section, edits)),
    )


def _section(edit: Edit) -> str:
    lines = [f"## {edit.name}", "", f"- {_summary(edit)}"]
    if edit.model:
        lines += [f"- model: {edit.model.architecture}, {edit.model.n_layers} layers"]
        lines += [f"- weights: `{edit.model.weights_hash}`"]
    if edit.provenance:
        text = json.dumps(edit.provenance, indent=2, ensure_ascii=False)
        lines += ["", "```json", text.replace("```", "`` `"), "```"]
    return "\n".join(lines)


def _summary(edit: Edit) -> str:
    if isinstance(edit, NeuronEdit):
        window = "" if edit.low is None else ", within a window"
        return f"{len(edit)} of {edit.site.n_neurons} neurons at site `{edit.site.name}`{window}"
    layers = ", ".join(str(point.layer) for point in edit.points)
    languages = f", for {', '.join(edit.languages)}" if edit.languages else ""
    linear = "" if edit.left is None else " and a linear map"
    return f"a vector{linear} added to rows {layers} of the residual stream{languages}"

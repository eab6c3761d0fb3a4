"""The command that carries edits elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mechsteer.cli.parse.edits import POSITIONS, STRENGTHS
from mechsteer.cli.parse.group import DEVICE, DTYPE, Place, cli

# what is written, and what it needs beside the edit
FORMATS = (
    *("checkpoint", "sentence-transformers"),
    *("llama.cpp", "easysteer", "vllm-hook", "neuronpedia"),
)


@cli.command()
@click.argument("files", metavar="EDIT...", nargs=-1, required=True)
@click.option(
    "--to", "format_", type=click.Choice(FORMATS), default="checkpoint", show_default=True,
    help="What is written: a folder of transformers with the edits in its weights, one of "
    "sentence-transformers, or a vector for an engine.",
)  # fmt: skip
@click.option(
    "-o", "--output", type=Place(), required=True, help="What is written: a new folder, or file."
)
@click.option("--model", help="A name or folder; by default the one the edit was made with.")
@STRENGTHS
@POSITIONS
@click.option("--language", help="The one language: of all texts, for edits that ask.")
@click.option("--layer", type=int, help="Row that sentence-transformers pools; -1 by default.")
@click.option("--architecture", help="llama.cpp's name of it, llama say.")
@click.option("--model-id", help="Neuronpedia's name of the model.")
@DEVICE
@DTYPE
@click.option(
    "--widen", is_flag=True, help="Let each MLP have more neurons where nothing has a bias."
)
@click.option(
    "--no-layers", is_flag=True, help="Add vectors to biases that are there, not by new layers."
)
@click.option(
    "--tolerance",
    type=float,
    help="Roundings of the largest logit that a checkpoint may be away; 2 by default.",
)
@click.option("--no-verify", is_flag=True, help="Do not load the checkpoint to compare its logits.")
def export(files: tuple[str, ...], format_: str, output: Path, **options: Any) -> None:
    """Carry edits elsewhere: exactly, or refused with the reason.

    EDIT is a file that `mechsteer edit` wrote, or hf://owner/name; several act in order.
    """
    from mechsteer.cli.do.exports import export_command

    click.echo(export_command(files, format_, output, **options))

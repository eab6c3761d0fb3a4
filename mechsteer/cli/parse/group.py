"""The group that commands join, and the arguments they share."""

from __future__ import annotations

from typing import Any

import click
from click.shell_completion import CompletionItem

from mechsteer import __version__
from mechsteer.cli.parse.common import Command, saying
from mechsteer.cli.parse.place import Place

__all__ = ["DEVICE", "DTYPE", "LANGUAGE", "MODEL", "RUN", "Place", "cli"]


class ModelName(click.ParamType):  # type: ignore[type-arg]  # no generic before click 8.2
    """A published name, a folder, a GGUF file or the embedded model."""

    name = "model"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Files and folders, and the word ``embedded``."""
        del ctx, param
        embedded = [CompletionItem("embedded")] if "embedded".startswith(incomplete) else []
        return [*embedded, CompletionItem(incomplete, type="file")]


class Group(click.Group):
    """A group whose commands all take what every command takes, and says as much as they do."""

    command_class = Command

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += saying()


RUN = click.argument("run", type=Place())
LANGUAGE = click.option(
    "--language", "--concept", "language", required=True,
    help="The one language: of the experts; or a concept, a label that was scored.",
)  # fmt: skip
DEVICE = click.option("--device", help="cpu, cuda, …")
DTYPE = click.option(
    "--dtype", type=click.Choice(["float32", "bfloat16", "float16"]), help="Precision of the model."
)
MODEL = click.argument("model", type=ModelName())


@click.group(
    cls=Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="mechsteer")
def cli() -> None:
    """Find the neurons that carry a language, move them, and see what that does.

    MODEL is a published name, a local checkpoint directory, or 'embedded'. A LIST has commas
    between its values ('"a, b",c' where a value has one itself), or the flag is repeated.
    """

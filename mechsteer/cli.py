"""The command line: each command is one call of the library; a run folder is what they share."""

from __future__ import annotations

import json
import logging
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mechsteer import __version__
from mechsteer.terminal import print_table, print_verdict

if TYPE_CHECKING:
    import pandas as pd

    from mechsteer.experts import Criterion, Experts
    from mechsteer.throughput.measure import Device

RUN = click.argument("run", type=click.Path(path_type=Path))
MODEL = click.argument("model")
CORPUS_HELP = (
    "Parallel text: a folder of LANG.txt or LANG.SPLIT files, a TSV, CSV or Parquet table, "
    "a Tatoeba pair, the name of a Hugging Face dataset, or 'embedded'."
)


def _comma_list(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if value else ()


def _ks(context: click.Context, parameter: click.Parameter, value: str) -> tuple[float, ...]:
    try:
        numbers = [float(part) for part in value.split(",")]
    except ValueError:
        raise click.BadParameter("expected numbers such as 100,500 or a fraction 0.01") from None
    return tuple(n if 0 < n < 1 else int(n) for n in numbers)


def _strengths(context: click.Context, parameter: click.Parameter, value: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter("expected numbers such as 1 or 0.5,1") from None


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="mechsteer")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Find the neurons that carry a language, move them, and see what that does.

    MODEL is a published name, a local checkpoint directory, or 'embedded'.
    """


@cli.command()
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=Path("mechsteer-demo"),
    show_default=True, help="Run folder to write.",
)  # fmt: skip
def demo(output: Path) -> None:
    """Run the whole road offline, on the embedded model and sentences."""
    from mechsteer.demo import run_demo

    page = run_demo(output)
    print_verdict(output)
    click.echo(f"report: {page.resolve()}")


@cli.command()
@MODEL
@click.option("--corpus", required=True, help=CORPUS_HELP)
@click.option("--split", help="Split to read, for example dev.")
@click.option("--languages", callback=_comma_list, help="Comma-separated; all by default.")
@click.option("--labelled", is_flag=True, help="Text that is not parallel: scored, not studied.")
@click.option("--limit", type=click.IntRange(2), help="Only the first N parallel sentences.")
@click.option("--negative-only", callback=_comma_list, help="Languages that get no score.")
@click.option("--site", default="post", show_default=True, help="Where neurons are read.")
@click.option("--pooling", default="max", show_default=True, help="max, mean or last.")
@click.option("--batch-tokens", default=4096, show_default=True, help="Tokens in a batch.")
@click.option("--truncate", is_flag=True, help="Cut sentences longer than the context.")
@click.option("--skip-first", is_flag=True, help="Drop the first token (attention sink).")
@click.option("--device", help="cpu, cuda, …")
@click.option("--dtype", help="float32, bfloat16 or float16.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Run folder.")
def score(model: str, corpus: str, output: Path, **options: Any) -> None:
    """Score every neuron as a detector of every language; resumable."""
    from mechsteer.pipeline import score_command

    scores = score_command(model, corpus, output, **options)
    for language in scores.languages:
        top = scores.top(language, min(5, scores.site.n_neurons))
        print_table(_brief(top), f"{language}: chance AP {scores.prevalence(language):.3f}")
    click.echo(f"scores: {output / 'scores.safetensors'}")


@cli.command()
@RUN
@click.option("--language", required=True, help="Language of the experts.")
@click.option("--k", required=True, type=float, help="A number, or a fraction of all neurons.")
@click.option("--by", type=click.Choice(["ap", "auroc"]), default="ap", show_default=True)
def select(run: Path, language: str, k: float, by: Criterion) -> None:
    """Select the k best experts of a language."""
    from mechsteer.pipeline import select_command

    experts, file = select_command(run, language, k if 0 < k < 1 else int(k), by)
    print_table(_brief(experts).head(20), f"{experts.language}: {experts.selection}")
    share = len(experts) / experts.site.n_neurons
    click.echo(f"k = {len(experts)} of {experts.site.n_neurons} neurons ({share:.2%})")
    click.echo(f"{experts.tied_at_cut} neurons share the score at the cut")
    click.echo(f"experts: {file}")


@cli.command()
@RUN
@click.option(
    "--edit",
    default="clamp",
    show_default=True,
    help="clamp (to the median), clamp-mean, damp, zero, aura, or shift (of mean-pooled scores).",
)
@click.option("--k", "ks", default="100", show_default=True, callback=_ks, help="One or several.")
@click.option(
    "--strength", "strengths", default="1", show_default=True, callback=_strengths,
    help="λ of the edit, one or several.",
)  # fmt: skip
@click.option("--by", type=click.Choice(["ap", "auroc"]), default="ap", show_default=True)
@click.option("--test", required=True, help=CORPUS_HELP)
@click.option("--split", help="Split of the test corpus, for example devtest.")
@click.option("--limit", type=click.IntRange(2), help="Only the first N parallel sentences.")
@click.option(
    "--target", "targets", callback=_comma_list, help="Languages to steer to; all by default."
)
@click.option(
    "--text", help="Text whose bits per byte show what every dose costs: a corpus, or 'dev'."
)
@click.option("--seeds", default=5, show_default=True, help="Random controls per language.")
def study(run: Path, test: str, **options: Any) -> None:
    """Steer to each language and measure, beside the controls; resumable."""
    from mechsteer.pipeline import study_command

    study_command(run, test, **options)
    print_verdict(run)
    click.echo(f"results: {run / 'results.parquet'}")


@cli.command()
@RUN
@click.option("--edit", default="clamp", show_default=True, help="clamp, clamp-mean, …")
@click.option("--language", required=True, help="Language of the experts.")
@click.option("--k", required=True, type=float, help="A number, or a fraction of all neurons.")
@click.option("--by", type=click.Choice(["ap", "auroc"]), default="ap", show_default=True)
@click.option("--strength", default=1.0, show_default=True, help="λ of the edit.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Edit file.")
def edit(run: Path, output: Path, k: float, **options: Any) -> None:
    """Make an edit from a scored run and save it as one file."""
    from mechsteer.edit_commands import edit_command

    made = edit_command(run, output, k=k if 0 < k < 1 else int(k), **options)
    click.echo(f"edit: {output} ({made.name}, {made.provenance['selection']})")


def _edit_options(command: Callable[..., None]) -> Callable[..., None]:
    """What commands that steer have in common."""
    for option in (
        click.option("--dtype", help="float32, bfloat16 or float16."),
        click.option("--device", help="cpu, cuda, …"),
        click.option(
            "--positions", default="all", show_default=True, help="all, content, last, generated."
        ),
        click.option(
            "--strength", "strengths", multiple=True, type=float,
            help="λ: one for all edits, or one for each.",
        ),
        click.option(
            "--edit", "files", multiple=True, required=True,
            help="Edit file or hf://owner/name; several act in order.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


@cli.command()
@MODEL
@_edit_options
@click.option("--prompt", "prompts", multiple=True, default=("",), help="One or several.")
@click.option("--language", help="Language of the prompts, for edits that depend on it.")
@click.option("--max-new-tokens", default=40, show_default=True, help="Tokens to write.")
@click.option("--temperature", default=1.0, show_default=True, help="0 is --greedy.")
@click.option("--top-p", default=0.9, show_default=True, help="Nucleus to sample from.")
@click.option("--greedy", is_flag=True, help="Take the most probable token each time.")
@click.option("--seed", default=0, show_default=True, help="The same before and after.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
def generate(
    model: str,
    files: tuple[str, ...],
    prompts: tuple[str, ...],
    greedy: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Write before and after an edit, side by side."""
    from mechsteer.edit_commands import generate_command

    if greedy:
        options["temperature"] = 0.0
    pairs = generate_command(model, files, prompts, **options)
    if as_json:
        click.echo(json.dumps([vars(pair) for pair in pairs], ensure_ascii=False))
        return
    from rich.console import Console

    from mechsteer.side_by_side import side_by_side

    console = Console(markup=False, highlight=False)
    rows = [(pair.prompt, pair.before, pair.after) for pair in pairs]
    console.print(side_by_side(rows, console.width))


@cli.command()
@MODEL
@_edit_options
@click.option(
    "--text", type=click.Path(path_type=Path), required=True, help="Text to predict, UTF-8."
)
@click.option("--language", required=True, help="Target language.")
@click.option("--n", default=32, show_default=True, help="Generations a seed.")
@click.option("--seeds", default=4, show_default=True, help="How many; intervals are over seeds.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
def cost(model: str, files: tuple[str, ...], text: Path, as_json: bool, **options: Any) -> None:
    """Tell what edits cost a model: prediction of a text, language, repetition."""
    from mechsteer.edit_commands import cost_command

    table = cost_command(model, files, text, **options).table()
    if as_json:
        click.echo(table.to_json(orient="records"))
    else:
        print_table(table, f"{model}: {text}")


@cli.command()
@RUN
@click.option(
    "--neuron",
    "neurons",
    multiple=True,
    metavar="LAYER:NEURON",
    help="A neuron that gets a card too; repeat it for more.",
)
@click.option("--top", default=3, show_default=True, help="Cards of each language's best neurons.")
def cards(run: Path, neurons: tuple[str, ...], top: int) -> None:
    """Make neuron cards for the report: what fires a neuron, and what it writes."""
    from mechsteer.pipeline import cards_command

    made = cards_command(run, neurons, top=top)
    print_table(made.brief(), "neuron cards")
    click.echo("cards: in the report, once you run `mechsteer report` again")


@cli.command()
@RUN
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Page; RUN/report.html by default."
)
@click.option("--open", "show", is_flag=True, help="Open it in the browser.")
def report(run: Path, output: Path | None, show: bool) -> None:
    """Write the report of a studied run: one HTML file."""
    from mechsteer.pipeline import report_command

    page = report_command(run, output)
    print_verdict(run)
    click.echo(f"report: {page.resolve()}")
    if show:
        click.launch(page.resolve().as_uri())


@cli.command()
@MODEL
@click.option("--site", default="post", show_default=True, help="Where neurons are read.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
def check(model: str, site: str, as_json: bool) -> None:
    """Show which neurons of a model can be read, verified layer by layer."""
    from mechsteer.errors import SiteError
    from mechsteer.pipeline import check_command

    table = check_command(model, site)
    if as_json:
        click.echo(table.to_json(orient="records"))
    else:
        print_table(table, f"{model}: site {site}")
    refused = table.loc[table["verdict"] != "ok", "verdict"]
    if len(refused):
        raise SiteError(
            f"{len(refused)} of {len(table)} hook points cannot be read: {refused.iat[0]}"
        )


@cli.command()
@click.option("--quick", is_flag=True, help="Ten seconds on small sizes instead of a minute.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), help="A GPU where there is one.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
def bench(quick: bool, device: Device | None, as_json: bool) -> None:
    """Measure what the kernels reach on this machine, beside its own copy and product rates."""
    from mechsteer.throughput import bench as throughput

    floors, results = throughput.bench(quick=quick, device=device)
    if as_json:
        click.echo(throughput.table(results).to_json(orient="records"))
        return
    print_table(throughput.brief(results), throughput.describe(floors, results))
    click.echo("ns: per element and core. x floor: time over that of moving the least bytes")
    click.echo("by a copy, or computing the least products. Every result was checked first.")


def _brief(experts: Experts) -> pd.DataFrame:
    """What fits on a terminal of 80 columns; the files have everything."""
    table = experts.table().rename(columns={"effect_size": "d"})
    return table[["rank", "component", "layer", "neuron", "ap", "auroc", "d", "median"]]


def main() -> None:
    """Entry point: errors in one line and exit code 1, wrong usage 2, traces only with --debug."""
    debug = "--debug" in sys.argv
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, format="%(message)s")
    if not debug:
        warnings.showwarning = _show_warning
    sys.exit(_run(lambda: cli(standalone_mode=False), debug))


def _run(command: Callable[[], Any], debug: bool) -> int:
    from mechsteer.errors import MechsteerError

    try:
        command()
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted; the same command takes up where it stopped", err=True)
        return 1
    except MechsteerError as error:
        if debug:
            raise
        click.echo(f"error: {error}", err=True)
        return 1
    except Exception as error:
        if debug:
            raise
        click.echo(f"error: {type(error).__name__}: {error} (--debug shows where)", err=True)
        return 1
    return 0


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    click.echo(f"warning: {message}", err=True)

"""Commands over a run folder, from sentences to the report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mechsteer.cli.parse.group import MODEL, RUN, cli
from mechsteer.cli.show.terminal import print_table, print_verdict

if TYPE_CHECKING:
    import pandas as pd

    from mechsteer.experts.scores import Criterion, Experts

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


@cli.command()
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=Path("mechsteer-demo"),
    show_default=True, help="Run folder to write.",
)  # fmt: skip
def demo(output: Path) -> None:
    """Run the whole road offline, on the embedded model and sentences."""
    from mechsteer.cli.do.demo import run_demo

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
@click.option("--prefix", default="", help="Read before each sentence, for example 'query: '.")
@click.option("--device", help="cpu, cuda, …")
@click.option("--dtype", help="float32, bfloat16 or float16.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Run folder.")
def score(model: str, corpus: str, output: Path, **options: Any) -> None:
    """Score every neuron as a detector of every language; resumable."""
    from mechsteer.cli.do.runs import score_command

    scores = score_command(model, corpus, output, **options)
    for language in scores.languages:
        top = scores.top(language, min(5, scores.site.n_neurons))
        print_table(_brief(top), f"{language}: chance AP {scores.prevalence(language):.3f}")
    click.echo(f"scores: {output / 'scores.safetensors'}")


@cli.command()
@RUN
@click.option("--language", required=True, help="Language of the experts.")
@click.option("--k", type=float, help="A number, or a fraction of all neurons.")
@click.option(
    "--fdr", type=click.FloatRange(0, 1, min_open=True, max_open=True), metavar="LEVEL",
    help="Instead of k: all neurons at this false discovery rate (permutation test).",
)  # fmt: skip
@click.option(
    "--min-effect", default=1.0, show_default=True, type=click.FloatRange(0),
    help="With --fdr: least effect size (Cohen's d), of either sign.",
)  # fmt: skip
@click.option(
    "--draws", default=1000, show_default=True, type=click.IntRange(1),
    help="With --fdr: relabellings of the test.",
)  # fmt: skip
@click.option("--by", type=click.Choice(["ap", "auroc"]), default="ap", show_default=True)
def select(
    run: Path,
    language: str,
    *,
    k: float | None,
    fdr: float | None,
    min_effect: float,
    draws: int,
    by: Criterion,
) -> None:
    """Select the experts of a language: the k best, or all that are significant."""
    if fdr is None and k is not None:
        from mechsteer.cli.do.runs import select_command

        experts, file = select_command(run, language, k if 0 < k < 1 else int(k), by)
    elif fdr is not None and k is None:
        from mechsteer.cli.do.significance import significance_command

        experts, file = significance_command(
            run, language, fdr, by=by, min_effect=min_effect, draws=draws
        )
    else:
        raise click.UsageError("expected either --k or --fdr")
    print_table(_brief(experts).head(20), f"{experts.language}: {experts.selection}")
    share = len(experts) / experts.site.n_neurons
    click.echo(f"k = {len(experts)} of {experts.site.n_neurons} neurons ({share:.2%})")
    if k is not None:
        click.echo(f"{experts.tied_at_cut} neurons share the score at the cut")
    click.echo(f"experts: {file}")


@cli.command()
@RUN
@click.option(
    "--edit",
    "edits",
    multiple=True,
    default=("clamp",),
    show_default=True,
    help="clamp (to the median), clamp-mean, damp, zero, aura, shift (of mean-pooled scores), or a "
    "file that `mechsteer edit` wrote; repeat it for several.",
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
@click.option("--tune", type=click.IntRange(2), help="Try doses on N sentences of dev only.")
@click.option(
    "--choose-at",
    type=click.Choice(["best", "last"]),
    default="best",
    show_default=True,
    help="The layer at which the best dose is chosen on dev.",
)
@click.option("--only-chosen", is_flag=True, help="Measure only the chosen doses on the test text.")
@click.option("--quality", is_flag=True, help="Measure the space too: CKA, probes, hubs, isotropy.")
def study(run: Path, test: str, **options: Any) -> None:
    """Steer to each language and measure, beside the controls; resumable."""
    from mechsteer.cli.do.runs import study_command

    study_command(run, test, **options)
    print_verdict(run)
    click.echo(f"results: {run / 'results.parquet'}")


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
    from mechsteer.cli.do.runs import cards_command

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
    from mechsteer.cli.do.runs import report_command

    page = report_command(run, output)
    print_verdict(run)
    click.echo(f"report: {page.resolve()}")
    if show:
        click.launch(page.resolve().as_uri())


def _brief(experts: Experts) -> pd.DataFrame:
    """What fits on a terminal of 80 columns; the files have everything."""
    table = experts.table().rename(columns={"effect_size": "d"})
    return table[["rank", "component", "layer", "neuron", "ap", "auroc", "d", "median"]]

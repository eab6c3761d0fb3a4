"""Commands over a run folder, from sentences to the report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mechsteer.cli.parse.flags import EXPERTS, flag, flags, within
from mechsteer.cli.parse.group import LANGUAGE, MODEL, RUN, Place, cli
from mechsteer.cli.requests import (
    CardsRequest,
    PlanRequest,
    ProbeRequest,
    ScoreRequest,
    SimilarityRequest,
    StudyRequest,
    TransferRequest,
)
from mechsteer.cli.show.terminal import print_json, print_table, print_verdict
from mechsteer.display import count, number
from mechsteer.options.ranking import Ranking
from mechsteer.options.rules import finite, whole

if TYPE_CHECKING:
    import pandas as pd

    from mechsteer.experts.scores import Experts


@cli.command()
@click.option(
    "-o", "--output", type=Place(), default=Path("mechsteer-demo"),
    show_default=True, help="What is written: a run folder.",
)  # fmt: skip
def demo(output: Path) -> None:
    """Run the whole road offline, on the embedded model and sentences."""
    from mechsteer.cli.do.demo import run_demo

    page = run_demo(output)
    print_verdict(output)
    click.echo(f"report: {page.resolve()}")


@cli.command()
@MODEL
@flags(ScoreRequest)
@click.option("-o", "--output", type=Place(), required=True, help="What is written: a run folder.")
def score(model: str, output: Path, **options: Any) -> None:
    """Score every neuron as a detector of every language; resumable."""
    from mechsteer.cli.do.score import score_command

    scores = score_command(model, output, ScoreRequest(**options))
    for language in scores.languages:
        top = scores.top(language, min(5, scores.site.n_neurons))
        print_table(_brief(top), f"{language}: chance AP {number(scores.prevalence(language))}")
        _say_beside(top)
    click.echo(f"scores: {output / 'scores.safetensors'}")


@cli.command()
@MODEL
@flags(PlanRequest)
@click.option(
    "-o",
    "--output",
    type=Place(),
    help="What is written: a run folder, by `score`; its disk is asked.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
def plan(model: str, output: Path | None, as_json: bool, **options: Any) -> None:
    """Tell what a run will take before it runs: tokens, seconds, memory, disk.

    Exit code 1 where disk or memory fall short. MODEL may be a folder with a config.json alone.
    """
    from mechsteer.cli.do.plan import plan_command
    from mechsteer.cli.show.plans import print_plan

    made = plan_command(model, PlanRequest(**options), output)
    if as_json:
        print_json(made.as_dict())
    else:
        print_plan(made)
    made.require_room()


@cli.command()
@RUN
@LANGUAGE
@flag("k", EXPERTS)
@click.option(
    "--fdr", type=float, metavar="LEVEL",
    callback=within(finite("a rate above 0 and below 1", lambda rate: 0 < rate < 1)),
    help="Instead of k: all neurons at this false discovery rate (permutation test).",
)  # fmt: skip
@click.option(
    "--min-effect", default=1.0, show_default=True,
    callback=within(finite("an effect size of 0 or more", lambda d: d >= 0)),
    help="With --fdr: least effect size (Cohen's d), of either sign.",
)  # fmt: skip
@click.option(
    "--draws", default=1000, show_default=True, callback=within(whole(1)),
    help="With --fdr: relabellings of the test.",
)  # fmt: skip
@flags(Ranking)
def select(
    run: Path,
    language: str,
    *,
    k: float | None,
    fdr: float | None,
    min_effect: float,
    draws: int,
    **options: Any,
) -> None:
    """Select the experts of a language: the k best, or all that are significant."""
    how = Ranking(**options)
    if fdr is None and k is not None:
        from mechsteer.cli.do.score import select_command

        experts, file = select_command(run, language, k, how)
    elif fdr is not None and k is None:
        from mechsteer.cli.do.significance import significance_command

        experts, file = significance_command(
            run, language, fdr, how, min_effect=min_effect, draws=draws
        )
    else:
        raise click.UsageError("expected either --k or --fdr")
    print_table(_brief(experts).head(20), f"{experts.language}: {experts.selection}")
    share = len(experts) / experts.site.n_neurons
    click.echo(f"k = {len(experts)} of {experts.site.n_neurons} neurons ({share:.2%})")
    if k is not None:
        click.echo(f"{count(experts.tied_at_cut, 'neuron')} at the score of the cut")
    _say_beside(experts)
    click.echo(f"experts: {file}")


@cli.command()
@RUN
@flags(StudyRequest)
def study(run: Path, **options: Any) -> None:
    """Steer to each language and measure, beside the controls; resumable."""
    from mechsteer.cli.do.study import study_command

    study_command(run, StudyRequest(**options))
    print_verdict(run)
    click.echo(f"results: {run / 'results.parquet'}")


@cli.command()
@RUN
@flags(CardsRequest)
def cards(run: Path, **options: Any) -> None:
    """Make neuron cards for the report: what fires a neuron, and what it writes."""
    from mechsteer.cli.do.report import made_cards

    print_table(made_cards(run, CardsRequest(**options)), "neuron cards")
    click.echo("cards: in the report, once you run `mechsteer report` again")


@cli.command()
@RUN
@flags(ProbeRequest)
def probe(run: Path, **options: Any) -> None:
    """Script or language? How many experts still tell copies of the sentences; resumable."""
    from mechsteer.cli.do.probe import probe_command

    table = probe_command(run, ProbeRequest(**options))
    shown = ["language", "copy", "copy_score", "kept", "kept_low", "kept_high", "random"]
    print_table(table[[*shown, "in_top", "chance"]], "experts that survive, shares of k")
    click.echo(f"survival: {run / 'survival.parquet'}, one row an expert in survival.neurons")


@cli.command()
@RUN
@flags(TransferRequest)
def transfer(run: Path, **options: Any) -> None:
    """Which languages learn from which? A probe trained in one, tested in all; resumable."""
    from mechsteer.cli.do.transfer import transfer_command

    found = transfer_command(run, TransferRequest(**options))
    table = found.table()
    best = table[table["layer"] == found.best_layer]
    shown = ["kind", "edit", "language", "layer", "value", "ci_low", "ci_high", "within", "delta"]
    said = f"chance {number(found.chance)}, majority {number(found.majority)}"
    print_table(best[shown], f"accuracy in other languages and within ({said})")
    click.echo("the layer shown is the one with the best accuracy within a language, untouched")
    click.echo(f"transfer: {run / 'transfer.parquet'}, matrices in {run / 'transfer.csv'}")


@cli.command()
@RUN
@click.option(
    "-o", "--output", type=Place(), help="What is written: a page, RUN/report.html by default."
)
@click.option("--open", "show", is_flag=True, help="Open it in the browser.")
def report(run: Path, output: Path | None, show: bool) -> None:
    """Write the report of a run, studied or scored: one HTML file."""
    from mechsteer.cli.do.report import report_command

    page = report_command(run, output)
    print_verdict(run)
    click.echo(f"report: {page.resolve()}")
    if show:
        click.launch(page.resolve().as_uri())


def _brief(experts: Experts) -> pd.DataFrame:
    """What fits on a terminal of 80 columns; the files have everything."""
    table = experts.table().rename(columns={"effect_size": "d"})
    aps = [name for name in ("ap", "script_ap") if name in table]
    return table[["rank", "component", "layer", "neuron", *aps, "auroc", "d", "median"]]


def _say_beside(experts: Experts) -> None:
    """Say what ``script_ap`` is, or why there is none; nothing of what is no language."""
    from mechsteer.corpus.names.languages import script_of

    if not (script := script_of(experts.language)):
        return
    if experts.script_ap is None:
        click.echo(f"no other language in {script} was scored: no AP among languages of one script")
    else:
        click.echo(f"script_ap: AP among the languages in {script} alone")


@cli.command()
@RUN
@flags(SimilarityRequest)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
def similarity(run: Path, as_json: bool, **options: Any) -> None:
    """Explain which pairs of languages are aligned, and gain, by how alike they are."""
    from mechsteer.cli.do.similarity import similarity_command

    found = similarity_command(run, SimilarityRequest(**options))
    if as_json:
        rows = {name: table.to_dict("records") for name, table in found.printable().items()}
        print_json({**rows, "notes": found.notes})
        return
    print_table(found.brief(), "share of the variance over pairs, and p after Holm")
    print_table(found.answers(), "what explains most, by four definitions")
    if len(found.rankings):
        print_table(found.best_sources(), "sources for a target: NDCG@3, a star where above chance")
    if len(found.characteristics):
        print_table(found.traits(), "a language's mean: share of its variance, and p after Holm")
    for sentence in found.sentences():
        click.echo(sentence)

"""How many model states a study embeds and measures."""

from __future__ import annotations

from dataclasses import dataclass

from mechsteer.studies.options import StudyOptions

_BASELINES = 3  # centring, dimensions removed, standardised: measured, not run


@dataclass(frozen=True)
class States:
    """Counts of a study.

    Attributes:
        tuned: tried on some of dev, embedded and measured.
        tried: embedded and measured on the test text.
        applied: only measured there: what is done to embeddings after the model.
        share: of dev's sentences that doses are tried on.
    """

    tuned: int
    tried: int
    applied: int
    share: float = 1.0

    @property
    def embedded(self) -> int:
        """States that the model runs in."""
        return self.tuned + self.tried


def states_of(options: StudyOptions, n_edits: int, n_languages: int, n_dev: int) -> States:
    """What a study tries, by its options; ``grow`` may add to it.

    Args:
        options: of the study.
        n_edits: edits of experts.
        n_languages: of dev, all of which are targets by default.
        n_dev: sentences of a language in dev.
    """
    arms = n_edits * (len(options.targets) or n_languages)
    doses = len(set(options.ks)) * len(set(options.strengths))
    tuned = arms * doses if doses > 1 else 0
    edited = arms if options.only_chosen else arms * doses
    controls = arms * len(options.seeds) if options.controls else 0
    share = 1.0 if options.tune is None else min(1.0, options.tune / n_dev)
    return States(tuned, 1 + edited + controls, _BASELINES * options.controls, share)


def given_states(number: int) -> States:
    """So many states on the test text, and nothing on dev."""
    return States(0, number, 0)

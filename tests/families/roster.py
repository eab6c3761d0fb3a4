"""Every family of models that is tested, one a row: add a row and ``make families`` tests it.

The families that this file names first are tested each time; of the long tail every sixth is, and
all by ``make families``, which writes the table of the guide.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.families.decoders import DECODERS
from tests.families.encoder_decoders import ENCODER_DECODERS
from tests.families.encoders import ENCODERS, HEADLESS
from tests.families.mixtures import MIXTURES
from tests.families.more import MORE, MORE_DECODERS, MORE_ENCODER_DECODERS, MORE_ENCODERS
from tests.families.refused import REFUSED
from tests.families.rows import Family

FAMILIES: Mapping[str, Family] = {
    family.key: family
    for families in (
        *(DECODERS, MORE_DECODERS, ENCODERS, HEADLESS, MORE_ENCODERS),
        *(ENCODER_DECODERS, MORE_ENCODER_DECODERS, MIXTURES, REFUSED),
    )
    for family in families
}
_LEFT_OUT = {family.key for number, family in enumerate(MORE) if number % 6}
TESTED: Mapping[str, Family] = {
    key: family for key, family in FAMILIES.items() if key not in _LEFT_OUT
}

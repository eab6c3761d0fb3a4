"""What mechsteer raises when it refuses an input.

Every message says what was expected, what was got and what to type instead. All are ``ValueError``
so that callers who know nothing of mechsteer still catch them.
"""


class MechsteerError(ValueError):
    """Base of every refusal."""


class CorpusError(MechsteerError):
    """Text that cannot be used: wrong encoding, ragged files, unknown language, blank sentence."""


class CorpusWarning(UserWarning):
    """Text that can be used and looks odd: blank, repeated or untranslated sentences."""


class ModelError(MechsteerError):
    """A model that cannot be loaded, or that is in a state whose numbers would mislead."""


class SiteError(MechsteerError):
    """A hook point that is missing or does not hold neurons."""


class ArtifactError(MechsteerError):
    """A file that is damaged, of an unknown version, or made with another model or corpus."""

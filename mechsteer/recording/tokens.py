"""Which tokens of a text are real: one definition, for recording, embedding, steering and costs.

A token is real unless it is padding, a special token or a part of the prefix. What is special is
told by its id alone, so ``</s>`` is no word whether the tokenizer's template put it there or the
text itself holds it (chat markup, corpora with literal ``<s>``). An unknown word is a word.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from mechsteer.errors import MechsteerError, ModelError

_CHUNK = 1024  # texts tokenised at once


@dataclass(frozen=True)
class Tokens:
    """One text as the model reads it.

    Attributes:
        ids: of every token.
        real: which of them are real.
        added: which were put there by the tokenizer's template, around the text.
        written: which are special tokens that the text itself holds, after the prefix.
        spans: start and end of each token in the text, counted in characters from the end of the
            prefix; None unless asked for.
    """

    ids: Int[np.ndarray, " token"]
    real: Bool[np.ndarray, " token"]
    added: Bool[np.ndarray, " token"]
    written: Bool[np.ndarray, " token"]
    spans: Int[np.ndarray, "token 2"] | None = None

    def without_first(self) -> Bool[np.ndarray, " token"]:
        """``real`` without what comes first, the attention sink of models without BOS.

        The first token of a prefix is the sink where there is a prefix: then all else stays real.
        """
        words = ~(self.added | self.written)
        real = self.real.copy()
        real[words.argmax()] = False
        return real


def special_ids(tokenizer: Any) -> tuple[int, ...]:
    """Ids of the tokens that stand for no word, ascending.

    They are the special tokens a tokenizer names, those it was given (chat markup, languages), and
    whatever its template adds. The unknown token stands for a word, unless it is the one that
    begins or ends a text too, as in GPT-2.
    """
    ends = {getattr(tokenizer, f"{name}_token_id", None) for name in ("bos", "eos", "sep", "cls")}
    given = getattr(tokenizer, "added_tokens_decoder", {}).items()
    special = {number for number, token in given if token.special}
    special |= {*tokenizer.all_special_ids, *_template(tokenizer)}
    return tuple(sorted(special - ({getattr(tokenizer, "unk_token_id", None)} - ends)))


def tokenize(
    texts: Sequence[str],
    tokenizer: Any,
    *,
    prefix: str = "",
    context: int | None = None,
    spans: bool = False,
) -> Iterator[Tokens]:
    """Tokenise texts, each behind a prefix, without padding.

    A prefix and its text are one string to the tokenizer, as they were in training. A token that
    holds any character of the text is the text's: the space that ends ``"query: "`` mostly becomes
    one with the first word.

    Args:
        texts: sentences.
        tokenizer: the model's plain one.
        prefix: what the model reads before each text, and nobody counts.
        context: cut to so many tokens, those of the template included; None keeps all.
        spans: say where in the text each token lies.

    Raises:
        ModelError: a prefix or spans, and a tokenizer that does not know where its tokens lie; one
            that reads no text at all.
    """
    where = bool(prefix) or spans
    if where and not getattr(tokenizer, "is_fast", False):
        raise ModelError(
            f"{type(tokenizer).__name__} does not say which characters a token came from, which "
            "prefixes and cards need: pass a fast tokenizer"
        )
    with _reading(tokenizer):
        special = frozenset(special_ids(tokenizer))
    options: dict[str, Any] = {"return_offsets_mapping": True} if where else {}
    if context is not None:
        options |= {"truncation": True, "max_length": context}
    for start in range(0, len(texts), _CHUNK):
        with _reading(tokenizer):
            encoded = tokenizer(
                [prefix + text for text in texts[start : start + _CHUNK]],
                return_special_tokens_mask=True,
                return_attention_mask=False,
                verbose=False,  # silent about texts beyond the context, which callers check
                **options,
            )
        offsets = encoded["offset_mapping"] if where else [None] * len(encoded["input_ids"])
        columns = encoded["input_ids"], encoded["special_tokens_mask"], offsets
        for ids, added, offset in zip(*columns, strict=True):
            yield _tokens(ids, added, offset, special, len(prefix))


def require_known(tokens: Tokens, tokenizer: Any, n_words: int, where: str) -> None:
    """Refuse a text with tokens that the model has no embedding of.

    Args:
        tokens: of the text.
        tokenizer: which made them.
        n_words: token ids that the model embeds, see ``Model.n_words``.
        where: the text, for the message.

    Raises:
        ModelError: there is one; the message names it.
    """
    beyond = tokens.ids[tokens.ids >= n_words]
    if len(beyond):
        word = tokenizer.convert_ids_to_tokens(int(beyond[0]))
        raise ModelError(
            f"{where}: token {int(beyond[0])} ({word!r}), and the model embeds {n_words}: expected "
            "the tokenizer the model was trained with, or model.resize_token_embeddings(...)"
        )


def padding(tokenizer: Any, n_words: int) -> int:
    """The id that fills space: the tokenizer's own, or 0 where the model does not embed that.

    Padding is masked, so any id will do.
    """
    pad = tokenizer.pad_token_id
    return int(pad) if pad is not None and pad < n_words else 0


def _tokens(
    ids: Sequence[int],
    added: Sequence[int],
    offsets: Sequence[tuple[int, int]] | None,
    special: frozenset[int],
    n_prefix: int,
) -> Tokens:
    numbers, template = np.asarray(ids, np.int32), np.asarray(added, bool)
    spans = None if offsets is None else np.asarray(offsets, np.int64).reshape(-1, 2) - n_prefix
    own = ~template if spans is None or not n_prefix else ~template & (spans[:, 1] > 0)
    wordless = np.array([number in special for number in ids], bool)
    return Tokens(
        numbers,
        own & ~wordless,
        template,
        own & wordless,
        None if spans is None else spans.clip(0),
    )


def _template(tokenizer: Any) -> set[int]:
    """What the tokenizer puts around a text."""
    encoded = tokenizer("a", return_special_tokens_mask=True, verbose=False)
    pairs = zip(encoded["input_ids"], encoded["special_tokens_mask"], strict=True)
    return {number for number, added in pairs if added}


@contextmanager
def _reading(tokenizer: Any) -> Iterator[None]:
    """Say whose fault it is where a tokenizer fails, as one without its own tokens does."""
    try:
        yield
    except MechsteerError:
        raise
    except Exception as error:  # the tokenizers library raises plain ones
        what = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(
            f"{type(tokenizer).__name__} cannot read text ({what}): expected the tokenizer that "
            "the model was trained with, so copy its files again"
        ) from error

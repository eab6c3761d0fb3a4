"""Rows of published data sets in three languages, and files as people write them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

Row = dict[str, object]

TEXTS = {
    "fra": ("La lune est pleine.", 'Il dit "oui" et part.', "Elle mange du pain."),
    "deu": ("Der Mond ist voll.", 'Er sagt "ja" und geht.', "Sie isst Brot."),
    "eng": ("The moon is full.", 'He says "yes" and leaves.', "She eats bread."),
}
SHORT = {"fra": "fr", "deu": "de", "eng": "en"}
NAMED = {"fra": "fra_Latn", "deu": "deu_Latn", "eng": "eng_Latn"}
TOPICS = ("science", "travel", "science")


def flores_plus(code: str) -> list[Row]:
    more = {"glottocode": "abcd1234", "url": "https://example.org", "has_image": "no"}
    return [
        {"id": i, "iso_639_3": code, "iso_15924": "Latn", "text": text, "split": "dev", **more}
        for i, text in enumerate(TEXTS[code])
    ]


def sib(code: str) -> list[Row]:
    rows = zip(TOPICS, TEXTS[code], strict=True)
    return [{"index_id": 70 + i, "category": c, "text": t} for i, (c, t) in enumerate(rows)]


def belebele(code: str) -> list[Row]:
    answers = {f"mc_answer{n}": f"{code} {n}" for n in range(1, 5)}
    return [
        {"link": f"https://example.org/{i // 2}", "question_number": 1 + i % 2,
         "flores_passage": f"{code} passage {i // 2}", "question": text, **answers,
         "correct_answer_num": str(i + 1), "dialect": NAMED[code], "ds": "2023-05-03"}
        for i, text in enumerate(TEXTS[code])
    ]  # fmt: skip


def paws(code: str) -> list[Row]:
    return [
        {"id": i + 1, "sentence1": text, "sentence2": f"{text} ({code})", "label": i % 2}
        for i, text in enumerate(TEXTS[code])
    ]


def xnli(code: str) -> list[Row]:
    return [
        {"language": SHORT[code], "gold_label": label, "sentence1_parse": "(x)", "sentence1": text,
         "sentence2": f"{text} {label}", "promptID": i + 1, "pairID": 3 * i + j, "match": "True"}
        for i, text in enumerate(TEXTS[code])
        for j, label in enumerate(("neutral", "contradiction", "entailment"))
    ]  # fmt: skip


def bouquet(code: str) -> list[Row]:
    return [
        {"level": "sentence_level", "split": "dev", "uniq_id": f"P0-S{i}", "src_lang": NAMED[code],
         "src_text": text, "orig_text": "?", "tgt_lang": "eng_Latn", "tgt_text": TEXTS["eng"][i],
         "domain": "how_to", "register": "mixed", "par_id": "P0"}
        for i, text in enumerate(TEXTS[code])
    ]  # fmt: skip


def tsv(rows: Sequence[Row]) -> bytes:
    lines = [list(rows[0]), *(list(row.values()) for row in rows)]
    return "".join("\t".join(map(str, line)) + "\n" for line in lines).encode()


def quoted(rows: Sequence[Row]) -> bytes:
    """As pandas writes a TSV: cells with a quote in it are quoted."""
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]), delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue().encode()


def jsonl(rows: Sequence[Row]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def parquet(rows: Sequence[Row]) -> bytes:
    table = pa.Table.from_pylist(list(rows))
    for i, name in enumerate(table.column_names):
        if table.schema.field(name).type == pa.string():
            table = table.set_column(i, name, table[name].dictionary_encode())
    pq.write_table(table, file := io.BytesIO())
    return file.getvalue()


def views(rows: Sequence[Row]) -> bytes:
    table = pa.Table.from_pylist(list(rows))
    kinds = [pa.string_view() if f.type == pa.string() else f.type for f in table.schema]
    pq.write_table(table.cast(pa.schema(zip(table.column_names, kinds, strict=True))),
                   file := io.BytesIO())  # fmt: skip
    return file.getvalue()


def shuffled(rows: Sequence[Row]) -> list[Row]:
    """Columns from last to first, and one more."""
    return [{**dict(reversed(list(row.items()))), "more": "x"} for row in rows]


def windows(data: bytes) -> bytes:
    return b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n")

"""Render the card that travels with a corpus: what is in it, what is not, and why.

    part = Part("cwe", {"train": "train.jsonl", "validation": "validation.jsonl"}, rows)
    write_text(folder / "README.md", dataset_card(recipe, certificate, (part,)))

The sections are those of Hugging Face's dataset cards, and the front matter names each split's
file, so that `datasets.load_dataset` opens the folder where the card is its README.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from cybersecqwen import templates
from cybersecqwen.config import Recipe
from cybersecqwen.cwe.catalogue import load_catalogue
from cybersecqwen.files import Json
from cybersecqwen.sample import FEED

Rows = Mapping[str, Sequence[Json]]
SPLITS = ("train", "validation")  # each a file of this name
_SIZES = (1_000, 10_000, 100_000, 1_000_000)


@dataclass(frozen=True)
class Part:
    """One configuration of a dataset: the file of each split, and its rows."""

    name: str
    files: Mapping[str, str]
    rows: Rows

    @property
    def all_rows(self) -> list[Json]:
        """Return the rows of all splits."""
        return list(chain.from_iterable(self.rows.values()))


def dataset_card(
    recipe: Recipe,
    certificate: Json,
    parts: Sequence[Part],
    *,
    chat: bool = False,
    ledgers: str = "",
) -> str:
    """Render the card of a dataset; the first part is the corpus, a second one synthetic.

    `chat` says that a row holds `messages` instead of a prompt and its completion, `ledgers`
    is the path from the card to the folder of certificate.json and dropped.jsonl.
    """
    cwe, *synthetic = parts
    rows, catalogue = cwe.all_rows, load_catalogue()
    classes = Counter(row["cwe"] for row in rows)
    usages = Counter(catalogue[cwe].usage for cwe in classes.elements() if cwe in catalogue)
    return templates.render(
        "corpus/dataset_card.md.jinja",
        recipe=recipe,
        corpus=recipe.corpus,
        counts=certificate["counts"],
        overlap=_overlap(certificate["counts"]),
        benchmark_items=certificate["benchmark_items"],
        cwe=cwe,
        synthetic=synthetic,
        chat=chat,
        ledgers=ledgers,
        size_category=_size_category(sum(len(part.all_rows) for part in parts)),
        sample=FEED.name in certificate["inputs"].get("records", {}),
        classes=classes,
        once=sum(count == 1 for count in classes.values()),
        label_sources=Counter(row["label_source"] for row in rows).most_common(),
        years=sorted(Counter(row["published"][:4] or "unknown" for row in rows).items()),
        mapping_usages=usages.most_common(),
        words=sorted(len(row["description"].split()) for row in rows),
        kinds={part.name: _kinds(part) for part in synthetic},
    )


def _overlap(counts: Json) -> str:
    if overlapping := counts.get("overlapping"):
        return f"**{overlapping:,} of them overlap with a benchmark item: not clean.**"
    return "None overlaps with a benchmark item by the rules below."


def _size_category(rows: int) -> str:
    names = [f"{size // 1000}K" if size < 1_000_000 else "1M" for size in _SIZES]
    position = sum(rows >= size for size in _SIZES)
    if position == 0:
        return f"n<{names[0]}"
    return f"{names[position - 1]}<n<{names[position]}" if position < len(names) else "n>1M"


def _kinds(part: Part) -> list[tuple[str, int]]:
    return Counter(str(row.get("kind", "not stated")) for row in part.all_rows).most_common()

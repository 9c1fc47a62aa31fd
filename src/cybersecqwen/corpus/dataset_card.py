"""Write the card that travels with a corpus: what is in it, what is not, and why.

    part = Part("cwe", {"train": "train.jsonl", "validation": "validation.jsonl"}, rows)
    write_text(folder / "README.md", dataset_card(recipe, certificate, (part,)))

The sections are those of Hugging Face's dataset cards, and the front matter names each split's
file, so that `datasets.load_dataset` opens the folder where the card is its README.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from cybersecqwen.config import Corpus, Recipe
from cybersecqwen.cwe.catalogue import load_catalogue
from cybersecqwen.files import Json
from cybersecqwen.sample import FEED

Rows = Mapping[str, Sequence[Json]]
_SIZES = (1_000, 10_000, 100_000, 1_000_000)
_TOP = 15


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
    is the folder of certificate.json and dropped.jsonl, seen from the card.
    """
    cwe, *synthetic = parts
    sections = {
        "Summary": _summary(parts) + (_SAMPLE if _is_sample(certificate) else ""),
        "Uses": _USES,
        "Structure": _structure(parts, chat=chat),
        "Creation": _creation(recipe.corpus, certificate, ledgers),
        "Statistics": "\n\n".join([_statistics(cwe), *map(_kinds, synthetic)]),
        "Considerations": _CONSIDERATIONS,
        "Licence": _LICENCE,
        "Citation": _CITATION,
    }
    body = "".join(f"\n## {title}\n\n{text}\n" for title, text in sections.items())
    head = f"---\n{_front_matter(recipe, parts)}\n---\n\n"
    return f"{head}# {recipe.name}: CVE to CWE training corpus\n{body}"


def _front_matter(recipe: Recipe, parts: Sequence[Part]) -> str:
    from huggingface_hub import DatasetCardData

    size = sum(len(part.all_rows) for part in parts)
    data = DatasetCardData(
        pretty_name=f"{recipe.name}: CVE to CWE",
        language="en",
        license="other",
        annotations_creators=["expert-generated", "machine-generated"],
        source_datasets=["original"],
        size_categories=_size_category(size),
        task_categories=["text-generation", "text-classification"],
        tags=["cybersecurity", "cti", "cve", "cwe", "vulnerability-analysis"],
        license_name="cve-terms-of-use",
        license_link="https://www.cve.org/Legal/TermsOfUse",
        configs=[
            {
                "config_name": part.name,
                **({"default": True} if part is parts[0] else {}),
                "data_files": [
                    {"split": split, "path": path} for split, path in part.files.items()
                ],
            }
            for part in parts
        ],
    )
    return data.to_yaml()


def _size_category(rows: int) -> str:
    names = [f"{size // 1000}K" if size < 1_000_000 else "1M" for size in _SIZES]
    position = sum(rows >= size for size in _SIZES)
    if position == 0:
        return f"n<{names[0]}"
    return f"{names[position - 1]}<n<{names[position]}" if position < len(names) else "n>1M"


def _summary(parts: Sequence[Part]) -> str:
    cwe, *synthetic = parts
    said = f"""\
{_counts(cwe)} examples. Each asks for the CWE of one CVE description in CTI-Bench's own words and
answers with a rationale drawn from that description and the CWE id on the last line. None overlaps
with a benchmark item by the rules below."""
    for part in synthetic:
        said += (
            f"\n\nThe configuration `{part.name}` adds {_counts(part)} synthetic questions with "
            "their answers."
        )
    return said


def _is_sample(certificate: Json) -> bool:
    return FEED.name in certificate["inputs"].get("records", {})


def _counts(part: Part) -> str:
    return " and ".join(f"{len(rows):,} {_SPLITS[split]}" for split, rows in part.rows.items())


_SPLITS = {"train": "training", "validation": "validation"}


def _structure(parts: Sequence[Part], *, chat: bool) -> str:
    files = [
        (f"`{part.name}`", split, f"`{path}`", f"{len(part.rows[split]):,}")
        for part in parts
        for split, path in part.files.items()
    ]
    text = (
        [("`messages`", "the chat: one turn of the user, one of the assistant")]
        if chat
        else [
            ("`prompt`", "what the model is asked"),
            ("`completion`", "what it learns to answer"),
        ]
    )
    return "\n\n".join(
        [
            _table(("configuration", "split", "file", "rows"), files),
            _table(("field", "what"), [*text, *_FIELDS]),
            "All fields but `messages` are text." if chat else "All fields are text.",
        ]
    )


_FIELDS = (
    ("`cve_id`", "the record it was made from"),
    ("`cwe`", "the label, which ends the answer"),
    ("`label_source`", "who gave it: `nvd`, `cna` or `cisa_adp`"),
    ("`published`", 'ISO date of publication, "" where the record states none'),
    ("`description`", "the text of the record"),
)


def _creation(corpus: Corpus, certificate: Json, ledgers: str) -> str:
    counts = certificate["counts"]
    by = "CVE id" if corpus.year_by == "cve_id" else "publication date"
    return f"""\
### Source data

- CVE records of {_years(corpus)}, by {by}: {counts["cohort"]:,} of {counts["records"]:,} read.
- Label: the first usable one of the first source that has any, in the order
  {", ".join(corpus.label_sources)}.
- Categories: {corpus.categories}. Discouraged weaknesses: {corpus.discouraged}. Deprecated
  entries, placeholders and ids outside the CWE catalogue are never used as labels.
- At least {corpus.min_words} words; one record per text; texts with two labels are left out.

### Annotation

Labels are given by people: analysts of NVD, the CNA that assigned the CVE, or CISA. The rationale
is made by rule from the description and the CWE catalogue, and was not reviewed.

### What was dropped

{_table(("reason", "records"), counts["dropped"].items())}

Each record stands in `{ledgers}dropped.jsonl` with its reason and, for contamination, the
benchmark item.

### Decontamination

Checked against {sum(certificate["benchmark_items"].values()):,} benchmark items
({", ".join(certificate["benchmark_items"])}). Records removed, by the strongest rule that hit:

{_table(("rule", "records by task"), _rules(certificate).items())}

A record that overlaps with several tasks counts in each of them. `{ledgers}certificate.json`
holds the checksums of inputs and outputs, the rules and their parameters.

### Personal information

CVE descriptions are public and about products. Some name the person who reported a flaw."""


def _years(corpus: Corpus) -> str:
    first, last = corpus.years
    return str(first) if first == last else f"{first} to {last}"


def _rules(certificate: Json) -> dict[str, str]:
    contaminated: dict[str, dict[str, int]] = certificate["counts"]["contaminated"]
    return {
        rule: ", ".join(f"{task} {count}" for task, count in tasks.items()) or "0"
        for rule, tasks in contaminated.items()
    }


def _statistics(part: Part) -> str:
    rows, catalogue = part.all_rows, load_catalogue()
    classes = Counter(row["cwe"] for row in rows)
    sources = Counter(row["label_source"] for row in rows)
    years = Counter(row["published"][:4] or "unknown" for row in rows)
    once = sum(count == 1 for count in classes.values())
    usages = Counter(catalogue[cwe].usage for cwe in classes.elements() if cwe in catalogue)
    common = f"{len(classes):,} classes, {once:,} of them with a single example; the most frequent:"
    return "\n\n".join(
        [
            _table(("label source", "examples"), sources.most_common()),
            _table(("published", "examples"), sorted(years.items())),
            common,
            _table(("CWE", "examples"), classes.most_common(_TOP)),
            _table(("mapping usage, by MITRE", "examples"), usages.most_common()),
            _words(rows),
        ]
    )


def _words(rows: Sequence[Json]) -> str:
    sizes = sorted(len(row["description"].split()) for row in rows)
    return (
        f"Descriptions have {sizes[0]:,} to {sizes[-1]:,} words, {sizes[len(sizes) // 2]:,} in the "
        "median."
    )


def _kinds(part: Part) -> str:
    kinds = Counter(str(row.get("kind", "not stated")) for row in part.all_rows)
    return _table((f"kind of question in `{part.name}`", "pairs"), kinds.most_common())


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join(lines + [f"| {' | '.join(map(_cell, row))} |" for row in rows])


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


# The parts of the card that no count changes.
CTI_BENCH = """\
```bibtex
@misc{ctibench,
  title  = {{CTIBench}: A Benchmark for Evaluating {LLMs} in Cyber Threat Intelligence},
  author = {Alam, Md Tanvirul and Bhusal, Dipkamal and Nguyen, Le and Rastogi, Nidhi},
  year   = {2024},
  eprint = {2406.07599},
  archivePrefix = {arXiv},
  url    = {https://github.com/xashru/cti-bench}
}
```"""

_USES = """\
To fine-tune a language model that proposes a weakness for a vulnerability description, under
review by a qualified person. Not to judge a model by: the validation part is drawn from the same
records and serves to watch the training. Not for anything that helps an attack along."""

_SAMPLE = """

> **Invented records.** They are the sample that ships with the tool, to see the chain work: no
> product and no CVE in them is real."""

_CONSIDERATIONS = """\
- **Labels are judgements.** NVD, CNAs and CISA often disagree about the CWE of one record, and
  revise it later. `label_source` says whose label an example has.
- **Classes are uneven.** A few weaknesses make up most of the examples, and most weaknesses have
  a handful or none.
- **One time, one language.** Weaknesses that spread after the cohort's years are rare, and all
  texts are English.
- **Discouraged labels.** MITRE advises against mapping to some entries that sources use, such as
  CWE-20 and CWE-119. Where the recipe keeps them, a model learns to give them.
- **Rationales quote.** They name words of the description that speak for the class, and say
  nothing that is not in it or in the catalogue: they are no expert's analysis."""

_LICENCE = """\
The texts and labels stand under the terms of their sources: CVE List
([CVE terms of use](https://www.cve.org/Legal/TermsOfUse)), NVD (public domain), CISA
Vulnrichment (CC0), MITRE CWE ([terms of use](https://cwe.mitre.org/about/termsofuse.html)). The
instruction in each prompt is CTI-Bench's; none of its items is here."""

_CITATION = f"""\
Cite the sources: the [CVE Program](https://www.cve.org), the
[National Vulnerability Database](https://nvd.nist.gov), [CISA
Vulnrichment](https://github.com/cisagov/vulnrichment) and [CWE](https://cwe.mitre.org). The
instruction is from:

{CTI_BENCH}"""

"""Write the card that travels with a corpus: what is in it, what is not, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from cybersecqwen.config import Corpus, Recipe
from cybersecqwen.files import Json
from cybersecqwen.records import Example


def dataset_card(
    recipe: Recipe, certificate: Json, parts: tuple[list[Example], list[Example]]
) -> str:
    """Render DATASET_CARD.md for the train and validation parts of a corpus."""
    train, validation = parts
    corpus, counts = recipe.corpus, certificate["counts"]
    classes = Counter(e.cwe for e in train)
    sources = Counter(e.label_source for e in train)
    years = f"{corpus.years[0]} to {corpus.years[1]}"
    by = "CVE id" if corpus.year_by == "cve_id" else "publication date"
    return f"""---
language: en
task_categories: [text-generation, text-classification]
tags: [cybersecurity, cti, cve, cwe]
---

# {recipe.name}: CVE to CWE training corpus

{len(train):,} training and {len(validation):,} validation examples. Each asks for the CWE of one
CVE description in CTI-Bench's own words and answers with a rationale drawn from that description
and the CWE id on the last line.

## Cohort

- Years {years}, by {by}; {counts["records"]:,} records read, {counts["cohort"]:,} in those years.
- Label: the first usable one of the first source that has any, in the order {_order(corpus)}.
- Categories: {corpus.categories}. Discouraged weaknesses: {corpus.discouraged}. Deprecated
  entries, placeholders and ids outside the CWE catalogue are never used as labels.
- At least {corpus.min_words} words; one record per text; texts with two labels are left out.

## What was dropped

{_table(("reason", "records"), counts["dropped"])}

Each record stands in `dropped.jsonl` with its reason and, for contamination, the benchmark item.

## Decontamination

Checked against {sum(certificate["benchmark_items"].values()):,} benchmark items
({", ".join(certificate["benchmark_items"])}). Records removed, by the strongest rule that hit:

{_table(("rule", "records by task"), _rules(certificate))}

A record that overlaps with several tasks counts in each of them. `certificate.json` holds the
checksums of inputs and outputs, the rules and their parameters.

## Labels

{_table(("label source", "examples"), dict(sources.most_common()))}

{len(classes)} classes; the most frequent:

{_table(("CWE", "examples"), dict(classes.most_common(15)))}

## Fields

`cve_id`, `prompt`, `completion`, `cwe`, `label_source`, `published`, `description`; one JSON
object a line.
"""


def _order(corpus: Corpus) -> str:
    return ", ".join(corpus.label_sources)


def _rules(certificate: Json) -> dict[str, str]:
    contaminated: dict[str, dict[str, int]] = certificate["counts"]["contaminated"]
    return {
        rule: ", ".join(f"{task} {count}" for task, count in tasks.items()) or "0"
        for rule, tasks in contaminated.items()
    }


def _table(head: tuple[str, str], rows: Mapping[str, int | str]) -> str:
    lines = [f"| {head[0]} | {head[1]} |", "|---|---|"]
    return "\n".join(lines + [f"| {name} | {value} |" for name, value in rows.items()])

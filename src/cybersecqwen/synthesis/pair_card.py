"""Write the card that travels with synthetic pairs: what they are made of, and what was refused."""

from __future__ import annotations

from collections.abc import Mapping

from cybersecqwen.config import Recipe
from cybersecqwen.files import Json


def synthesis_card(recipe: Recipe, certificate: Json) -> str:
    """Render DATASET_CARD.md for the pairs of a recipe."""
    counts = certificate["counts"]
    choices = counts["forms"].get("choice", 0)
    return f"""---
language: en
task_categories: [question-answering, text-generation]
tags: [cybersecurity, cti, cve, cwe, attack, capec, cvss, synthetic]
---

# {recipe.name}: synthetic questions and answers

{counts["train"]:,} training and {counts["validation"]:,} validation pairs of a defensive analyst's
question and its answer, {choices:,} of them with four options. Made by: {_made_by(certificate)}.

Every pair carries its grounding: the text or statement that its answer rests on, with its source.
Known are {counts["records"]:,} CVE records and {", ".join(certificate["knowledge"].values())}.

## Kinds

{_table(("kind", "pairs"), counts["kinds"])}

## Topics

{_table(("topic", "pairs"), counts["topics"])}

## Checks

A pair was kept where its answer is supported by its grounding, no wrong option is, it repeats no
other, it fits the lengths, it breaks no rule against offensive content, and it overlaps with no
benchmark item by any of these rules: {", ".join(certificate["rules"])}. Checked against
{sum(certificate["benchmark_items"].values()):,} items
({", ".join(certificate["benchmark_items"])}).

{_table(("rejected as", "pairs"), counts["rejected"])}

Each rejected pair stands in `rejected.jsonl` with its reason and, for the benchmark, the item.

Right options by letter: {_letters(certificate)}.

## Diversity of the questions

| kind | questions | distinct 2-grams | distinct 3-grams | openings | share of the commonest |
|---|---:|---:|---:|---:|---:|
{_diversity(certificate["diversity"])}

Descriptions are left out of the count. An opening is the first four words.

## Fields

`id`, `kind`, `topic`, `form`, `subject`, `prompt`, `completion`, `question`, `options`, `answer`,
`grounding` (`source`, `id`, `text`), `support` (the words that the grounding holds to the letter),
`facts` (the relations that the pair gives away) and `made_by`; one JSON object a line.
"""


def _made_by(certificate: Json) -> str:
    teacher = certificate["teacher"]
    return f"the teacher {teacher['model']}" if teacher else "rules, from facts; no model was asked"


def _letters(certificate: Json) -> str:
    return "; ".join(
        f"{part} " + ", ".join(f"{letter} {count}" for letter, count in letters.items())
        for part, letters in certificate["letters"].items()
        if letters
    )


def _diversity(by_kind: Mapping[str, Json]) -> str:
    return "\n".join(
        f"| {kind} | {of['questions']:,} | {of['distinct_2']:.3f} | {of['distinct_3']:.3f} "
        f"| {of['openings']:,} | {of['commonest_opening']:.3f} |"
        for kind, of in by_kind.items()
    )


def _table(head: tuple[str, str], rows: Mapping[str, int]) -> str:
    lines = [f"| {head[0]} | {head[1]} |", "|---|---:|"]
    return "\n".join(lines + [f"| {name} | {value:,} |" for name, value in rows.items()])

"""The sections of a dataset's report: the figures of one measurement as Markdown tables.

    print(duplicates(figures["duplicates"]))

`markdown` puts them together with the plots.
"""

from __future__ import annotations

from collections.abc import Sequence

from cybersecqwen.cwe.label import LABEL_SOURCES
from cybersecqwen.files import Json
from cybersecqwen.reports.markdown import table

_MIN_YEAR = 50  # records that two sources label; agreement over fewer says little
_TOP = 10
_GROUPS = {"kinds": "kind of entry", "abstractions": "abstraction", "usages": "mapping usage"}


def years(rows: Sequence[Json]) -> str:
    """Write the records, labels and gaps of each year."""
    listed = table(
        ("year", "by CVE id", "published", *LABEL_SOURCES.values(), "no label"),
        [
            (
                row["year"],
                f"{row['by_id']:,}",
                f"{row['published']:,}",
                *(f"{row['labelled_by'][source]:,}" for source in LABEL_SOURCES),
                f"{row['primary_label_from']['none']:,}",
            )
            for row in rows
        ],
        right=range(1, 7),
    )
    return (
        f"{listed}\n\nLabels are counted by year of publication; a record may have one from "
        "each source."
    )


def classes(found: Json) -> str:
    """Write the largest classes, the tail, and the kinds of entries; "" without labels."""
    if not found["labels"]:
        return ""
    head = table(
        ("CWE", "name", "usage", "records", "share", "so far"),
        [
            (
                row["cwe"],
                row["name"],
                row["usage"],
                f"{row['count']:,}",
                percent(row["share"]),
                percent(row["cumulative_share"]),
            )
            for row in found["head"]
        ],
        right=(3, 4, 5),
    )
    tail = table(
        ("classes with", "classes", "records"),
        [
            (_at_most(row["labels_at_most"]), f"{row['classes']:,}", f"{row['labels']:,}")
            for row in found["tail"]
        ],
        right=(1, 2),
    )
    needed = ", ".join(
        f"{100 * float(share):g} % in {count:,}" for share, count in found["needed_for"].items()
    )
    return "\n\n".join(
        [
            head,
            tail,
            f"Of the primary labels lie {needed} classes. The entropy is "
            f"{found['entropy_bits']:.2f} bits: as of {found['effective_classes']:.1f} classes of "
            "equal size.",
            *(_grouped(found[group], title) for group, title in _GROUPS.items()),
        ]
    )


def _grouped(found: Json, title: str) -> str:
    return table(
        (title, "classes", "records", "share"),
        [
            (name, f"{row['classes']:,}", f"{row['count']:,}", percent(row["share"]))
            for name, row in found.items()
        ],
        right=(1, 2, 3),
    )


def _at_most(labels: int) -> str:
    return "1 record" if labels == 1 else f"at most {labels} records"


def sources(found: Json) -> str:
    """Write what each source covers, and which label a record together."""
    columns = ("weakness", "category", "deprecated", "placeholder")
    by_source = table(
        ("source", "records", "share", "labels", *(f"of them {name}" for name in columns)),
        [
            (
                LABEL_SOURCES[source],
                f"{row['count']:,}",
                percent(row["share"]),
                f"{row['labels']:,}",
                *(f"{row['kinds'].get(name, {'count': 0})['count']:,}" for name in columns),
            )
            for source, row in found["sources"].items()
        ],
        right=range(1, 8),
    )
    together = table(
        ("labelled by", "records", "share"),
        [
            (
                " and ".join(LABEL_SOURCES[s] for s in row["sources"]) or "no source",
                f"{row['count']:,}",
                percent(row["share"]),
            )
            for row in found["together"]
        ],
        right=(1, 2),
    )
    return f"{by_source}\n\n{together}"


def agreement(figures: Json) -> str:
    """Write how often sources agree, and over what they differ; "" where no two label a record."""
    pairs = figures["agreement"]
    if not pairs:
        return ""
    columns = {
        "first_label": "same first label",
        "or_parent_or_child": "or parent or child",
        "same_in_view_1003": "same in view 1003",
        "sets_equal": "same set",
        "sets_overlapping": "a label in common",
    }
    overall = table(
        ("sources", "records", *columns.values()),
        [
            (pair_name(p), f"{p['records']:,}", *(percent(p[name]["share"]) for name in columns))
            for p in pairs
        ],
        right=range(1, 7),
    )
    relations = table(
        ("first to second", *map(pair_name, pairs)),
        [
            (name, *(f"{p['relations'][name]['count']:,}" for p in pairs))
            for name in pairs[0]["relations"]
        ],
        right=range(1, 1 + len(pairs)),
    )
    commonest = [_commonest(pair) for pair in pairs if pair["commonest_conflicts"]]
    return "\n\n".join(
        filter(
            None,
            [
                overall,
                "A parent or child is one step away in view 1000 or 1003. In view 1003, which "
                "NVD labels with, each label stands for its nearest ancestor there.",
                relations,
                _by_year(pairs),
                *commonest,
                "Every conflict stands in `conflicts.csv` and `conflicts.jsonl`.",
            ],
        )
    )


def _by_year(pairs: Sequence[Json]) -> str:
    found = [
        {r["year"]: r for r in pair["by_year_of_id"] if r["records"] >= _MIN_YEAR} for pair in pairs
    ]
    years = sorted({year for rows in found for year in rows})
    if len(years) < 2:
        return ""
    return table(
        ("year of the id", *map(pair_name, pairs)),
        [
            (
                year,
                *(
                    of_text(rows[year]["first_label"], rows[year]["records"])
                    if year in rows
                    else "–"
                    for rows in found
                ),
            )
            for year in years
        ],
        right=range(1, 1 + len(pairs)),
    )


def _commonest(pair: Json) -> str:
    first, second = (LABEL_SOURCES[source] for source in pair["sources"])
    return table(
        (first, second, f"{first}'s is", "records"),
        [
            (row["label"], row["other_label"], row["relation"], f"{row['records']:,}")
            for row in pair["commonest_conflicts"][:_TOP]
        ],
        right=(3,),
    )


def discouraged(figures: Json) -> str:
    """Write the labels advised against, each with a better one; "" where there are none."""
    found = figures["discouraged"]
    if not found["classes"]:
        return ""
    listed = table(
        ("CWE", "name", "usage", "records", "better", "name", "another source says so"),
        [
            (
                row["cwe"],
                row["name"],
                row["usage"],
                f"{row['records']:,}",
                *(
                    (
                        row["better"]["cwe"],
                        row["better"]["name"],
                        f"{row['better']['records_so_labelled_by_another_source']:,}",
                    )
                    if row["better"]
                    else ("–", "", "")
                ),
            )
            for row in found["classes"]
        ],
        right=(3, 6),
    )
    rest = f"\n\n{found['other_classes']} more classes are rarer." if found["other_classes"] else ""
    return (
        f"{listed}{rest}\n\nThe better entry is the Allowed descendant or peer that another source "
        "gives most often to the same records, else what MITRE suggests, else the nearest Allowed "
        "descendant."
    )


def duplicates(found: Json) -> str:
    """Write how many texts repeat, and the largest groups of them."""
    torn = found["label_conflicts"]
    said = (
        f"{found['texts']:,} texts differ. {found['groups']:,} of them stand in several records, "
        f"{found['records']:,} in all; in {torn['groups']:,} groups of {torn['records']:,} records "
        "the primary labels differ."
    )
    if not found["groups"]:
        return said
    largest = table(
        ("records", "text", "primary labels"),
        [(f"{g['records']:,}", g["text"], _labels(g["labels"])) for g in found["largest"]],
        right=(0,),
    )
    return f"{said}\n\n{largest}"


def _labels(labels: Json) -> str:
    ranked = sorted(labels.items(), key=lambda row: (-row[1], row[0]))
    shown = [f"{cwe} ({count})" for cwe, count in ranked[:3]]
    more = len(labels) - len(shown)
    return ", ".join([*shown, *([f"{more} more"] if more else [])]) or "none"


def lengths(found: Json) -> str:
    """Write the lengths, how tokens were counted, and what exceeds the limit; "" without texts."""
    if not found.get("chat"):
        return ""
    measures = {
        "characters of the description": found["characters"],
        "words of the description": found["words"],
        "tokens of the description": found["description"],
        "tokens under the chat template": found["chat"],
    }
    columns = ("mean", "median", "p90", "p99", "p999", "max")
    sizes = table(
        ("", "mean", "median", "90 %", "99 %", "99.9 %", "longest"),
        [(name, *(f"{row[c]:,.0f}" for c in columns)) for name, row in measures.items()],
        right=range(1, 7),
    )
    return f"{sizes}\n\n{_tokens_by(found)}"


def _tokens_by(found: Json) -> str:
    by, over = found["tokens_by"], found["chat"]["over_limit"]
    limit = f"{over:,} texts exceed the limit of {found['limit']:,} tokens."
    if "estimate" in by:
        return f"Tokens are estimated, {by['estimate']}. {limit}"
    error = by["estimate_error"]["chat"]
    return (
        f"Tokens are those of `{by['tokenizer']}` under the template `{by['template']}`, counted "
        f"in {by['texts_counted']:,} of {found['texts']:,} texts and in all "
        f"{by['counted_for_the_limit']:,} that could exceed the limit. {limit} The estimate that "
        f"needs no tokenizer is off by {percent(error['median'])} in the median chat, by more than "
        f"{percent(error['p99'])} in one of a hundred, and by {100 * error['of_the_sum']:+.1f} % "
        "in the sum."
    )


def pair_name(pair: Json) -> str:
    """Name the two sources of a pair."""
    return " and ".join(LABEL_SOURCES[source] for source in pair["sources"])


def part_text(found: Json) -> str:
    """Write a count with its share."""
    return f"{found['count']:,} ({percent(found['share'])})"


def of_text(found: Json, whole: int) -> str:
    """Write a share with the whole it is of."""
    return f"{percent(found['share'])} of {whole:,}"


def percent(share: float) -> str:
    """Write a share in per cent."""
    return f"{100 * share:.1f} %"

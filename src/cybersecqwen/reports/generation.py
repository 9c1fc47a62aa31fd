"""What a synthesis gave, for a terminal and for the model card.

print(synthesis_text(made(run / "synthesis")))
"""

from __future__ import annotations

from pathlib import Path

from cybersecqwen.files import Json, read_json
from cybersecqwen.reports.markdown import table


def made(folder: Path) -> Json:
    """Read a finished synthesis: its certificate, and where a teacher was asked what it took."""
    certificate: Json = read_json(folder / "certificate.json")
    usage = folder / "usage.json"
    return certificate | ({"usage": read_json(usage)} if usage.is_file() else {})


def synthesis_text(found: Json) -> str:
    """Write how many pairs there are, of which kinds, how varied, and why others were rejected."""
    counts, by_kind = found["counts"], found["diversity"]
    kinds = [
        (
            kind,
            f"{number:,}",
            f"{by_kind[kind]['distinct_3']:.3f}",
            f"{by_kind[kind]['openings']:,}",
            f"{by_kind[kind]['commonest_opening']:.1%}",
        )
        for kind, number in counts["kinds"].items()
    ]
    head = ("kind", "pairs", "distinct 3-grams", "openings", "commonest opening")
    parts = [said(found), table(head, kinds, right=(1, 2, 3, 4))]
    if counts["rejected"]:
        rows = sorted(counts["rejected"].items(), key=lambda pair: (-pair[1], pair[0]))
        cells = [(name, f"{count:,}") for name, count in rows]
        parts.append(table(("rejected as", "pairs"), cells, right=(1,)))
    if "usage" in found:
        parts.append(_rate(found["usage"]))
    return "\n\n".join(parts)


def said(found: Json) -> str:
    """Say in a few sentences what came of it."""
    counts, teacher = found["counts"], found["teacher"]
    by = f"the teacher {teacher['model']}" if teacher else "rules from facts, without a model"
    rejected = sum(counts["rejected"].values())
    letters = "; ".join(
        f"{part} " + ", ".join(f"{letter} {n:,}" for letter, n in of.items())
        for part, of in found["letters"].items()
        if of
    )
    return (
        f"{counts['train']:,} training and {counts['validation']:,} validation pairs of the "
        f"{counts['wanted']:,} wanted, made by {by}; {counts['forms'].get('choice', 0):,} have "
        f"four options, the right one at {letters or 'no letter'}. Rejected: {rejected:,}. "
        f"Knowledge: {', '.join(found['knowledge'].values())}."
    )


def _rate(usage: Json) -> str:
    cost = "" if usage["cost"] is None else f", cost {usage['cost']:,.4f}"
    return (
        f"{usage['requests']:,} requests, {usage['prompt_tokens']:,} tokens in, "
        f"{usage['completion_tokens']:,} out{cost}; {usage['asked_now']:,} now, in "
        f"{usage['seconds']:,.1f} s: {usage['answers_per_second']:,.1f} answers/s, "
        f"{usage['tokens_per_second']:,.0f} tokens/s."
    )

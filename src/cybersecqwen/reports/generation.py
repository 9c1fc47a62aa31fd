"""The yield of a synthesis and of a distillation, for a terminal and for the model card.

print(synthesis_text(load_synthesis(run / "synthesis")))
print(distillation_text(certificate, usage))
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cybersecqwen import templates
from cybersecqwen.files import Json, read_json
from cybersecqwen.reports.markdown import table
from cybersecqwen.synthesis.pair_card import letters_text

_SHOWN = 15  # classes, the most frequent first


def load_synthesis(folder: Path) -> Json:
    """Read a finished synthesis: its certificate, and the usage where a teacher generated it."""
    certificate: Json = read_json(folder / "certificate.json")
    usage = folder / "usage.json"
    return certificate | ({"usage": read_json(usage)} if usage.is_file() else {})


def synthesis_text(synthesis: Json) -> str:
    """Write the number of pairs, their kinds and variety, and the reasons of what was rejected."""
    counts, by_kind = synthesis["counts"], synthesis["diversity"]
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
    parts = [synthesis_summary(synthesis), table(head, kinds, right=(1, 2, 3, 4))]
    parts += [_rejected(counts["rejected"], "pairs")] if counts["rejected"] else []
    if "usage" in synthesis:
        parts.append(_teacher_usage(synthesis["usage"]))
    return "\n\n".join(parts)


def synthesis_summary(synthesis: Json) -> str:
    """Summarise a synthesis in a few sentences."""
    letters = letters_text(synthesis, ",")
    summary = templates.render(
        "reports/synthesis_summary.md.jinja", **synthesis | {"letters": letters}
    )
    return summary.rstrip("\n")


def distillation_text(certificate: Json, usage: Json) -> str:
    """Write the yield, the reasons of what was rejected, the agreement by class, and the rate."""
    rejected = certificate["answers"]["rejected"]
    return "\n\n".join(
        [
            distillation_summary(certificate),
            *([_rejected(rejected, "answers")] if rejected else []),
            _classes(certificate["agreement_by_class"]),
            f"{usage['asked_now']:,} answers in {_rate(usage)}"
            if usage["asked_now"]
            else "Every answer was at hand.",
        ]
    )


def distillation_summary(certificate: Json) -> str:
    """Summarise a distillation in a few sentences, with the tokens where its engine counts them."""
    summary = templates.render(
        "reports/distillation_summary.md.jinja",
        **certificate
        | {
            "settings": certificate["teacher"]["settings"],
            "kept": certificate["yield"],
            "cost": _cost(certificate["cost"]),
        },
    )
    return summary.rstrip("\n")


def _cost(cost: float | None) -> str:
    return "" if cost is None else f", cost {cost:,.4f}"


def _rejected(reasons: Mapping[str, int], counted: str) -> str:
    rows = sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))
    return table(("rejected as", counted), [(name, f"{n:,}") for name, n in rows], right=(1,))


def _classes(by_class: Json) -> str:
    ordered = sorted(by_class.items(), key=lambda pair: (-pair[1]["answers"], pair[0]))
    rows = [
        (cwe, f"{of['answers']:,}", f"{of['agreement']:.1%}", f"{of['kept']:,}")
        for cwe, of in ordered[:_SHOWN]
    ]
    shown = table(("gold", "answers", "agreement", "kept"), rows, right=(1, 2, 3))
    more = len(ordered) - _SHOWN
    return shown + (f"\n\n{more} rarer classes are in certificate.json." if more > 0 else "")


def _teacher_usage(usage: Json) -> str:
    return (
        f"{usage['requests']:,} requests, {usage['prompt_tokens']:,} tokens in, "
        f"{usage['completion_tokens']:,} out{_cost(usage['cost'])}; {usage['asked_now']:,} now, in "
        f"{_rate(usage)}"
    )


def _rate(usage: Json) -> str:
    return (
        f"{usage['seconds']:,.1f} s: {usage['answers_per_second']:,.1f} answers/s, "
        f"{usage['tokens_per_second']:,.0f} tokens/s."
    )

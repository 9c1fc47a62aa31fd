"""What a distillation gave, for a terminal and for the model card.

print(distillation_text(certificate, usage))
"""

from __future__ import annotations

from cybersecqwen.files import Json
from cybersecqwen.reports.markdown import table

_SHOWN = 15  # classes, the most frequent first


def distillation_text(certificate: Json, usage: Json) -> str:
    """Write the yield, the reasons of what was rejected, the agreement by class, and the rate."""
    rejected = certificate["answers"]["rejected"]
    parts = [said(certificate)]
    if rejected:
        rows = sorted(rejected.items(), key=lambda pair: (-pair[1], pair[0]))
        cells = [(name, f"{count:,}") for name, count in rows]
        parts.append(table(("rejected as", "answers"), cells, right=(1,)))
    return "\n\n".join([*parts, _classes(certificate["agreement_by_class"]), _rate(usage)])


def said(certificate: Json) -> str:
    """Say in a few sentences what came of it."""
    teacher = certificate["teacher"]["settings"]
    examples, answers = certificate["examples"], certificate["answers"]
    unkept = examples["corpus"] - examples["with_trace"]
    then = {"drop": "is left out", "direct": "keeps the corpus's completion"}
    return (
        f"The teacher {teacher['teacher']} answered {examples['corpus']:,} examples "
        f"{answers['asked']:,} times, in agreement with the gold label "
        f"{certificate['agreement']:.1%} of the time. {answers['kept']:,} traces were kept, for "
        f"{examples['with_trace']:,} examples ({certificate['yield']:.1%}); each of the other "
        f"{unkept:,} {then[teacher['without_trace']]}. Training examples: {examples['train']:,}."
        + _spent(certificate)
    )


def _spent(certificate: Json) -> str:
    """Say what the answers took, where the engine counts tokens."""
    tokens, cost = certificate["tokens"], certificate["cost"]
    if not any(tokens.values()):
        return ""
    priced = "" if cost is None else f", cost {cost:,.4f}"
    return f" {tokens['prompt']:,} tokens in, {tokens['completion']:,} out{priced}."


def _classes(by_class: Json) -> str:
    ordered = sorted(by_class.items(), key=lambda pair: (-pair[1]["answers"], pair[0]))
    rows = [
        (cwe, f"{of['answers']:,}", f"{of['agreement']:.1%}", f"{of['kept']:,}")
        for cwe, of in ordered[:_SHOWN]
    ]
    shown = table(("gold", "answers", "agreement", "kept"), rows, right=(1, 2, 3))
    more = len(ordered) - _SHOWN
    return shown + (f"\n\n{more} rarer classes are in certificate.json." if more > 0 else "")


def _rate(usage: Json) -> str:
    if not usage["asked_now"]:
        return "Every answer was at hand."
    return (
        f"{usage['asked_now']:,} answers in {usage['seconds']:,.1f} s: "
        f"{usage['answers_per_second']:,.1f} answers/s, {usage['tokens_per_second']:,.0f} tokens/s."
    )

"""The yield of a synthesis and of a distillation, for a terminal and for the model card.

print(synthesis_text(load_synthesis(run / "synthesis")))
print(distillation_text(certificate, usage))
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cybersecqwen.files import Json, read_json
from cybersecqwen.reports.markdown import document
from cybersecqwen.synthesis.giveaways import GUESSES
from cybersecqwen.synthesis.pair_card import letters_text

_SHOWN = 15  # classes, the most frequent first


def load_synthesis(folder: Path) -> Json:
    """Read a finished synthesis: its certificate, and the usage where a teacher generated it."""
    certificate: Json = read_json(folder / "certificate.json")
    usage = folder / "usage.json"
    return certificate | ({"usage": read_json(usage)} if usage.is_file() else {})


def synthesis_text(synthesis: Json) -> str:
    """Write the number of pairs, their kinds and variety, and the reasons of what was rejected."""
    values: Json = {"usage": None, "giveaways": None} | synthesis
    values |= {"letters": letters_text(synthesis, ","), "guesses": GUESSES}
    return document("reports/synthesis.md.jinja", by_count=_by_count, **values).strip()


def synthesis_summary(synthesis: Json) -> str:
    """Summarise a synthesis in a few sentences."""
    values = synthesis | {"letters": letters_text(synthesis, ",")}
    return document("reports/synthesis_summary.md.jinja", **values).strip()


def distillation_text(certificate: Json, usage: Json) -> str:
    """Write the yield, the reasons of what was rejected, the agreement by class, and the rate."""
    by_class = certificate["agreement_by_class"]
    classes = sorted(by_class.items(), key=lambda pair: (-pair[1]["answers"], pair[0]))
    values = {"usage": usage, "classes": classes, "shown": _SHOWN, "by_count": _by_count}
    return document("reports/distillation.md.jinja", **certificate | values).strip()


def distillation_summary(certificate: Json) -> str:
    """Summarise a distillation in a few sentences, with the tokens where its engine counts them."""
    return document("reports/distillation_summary.md.jinja", **certificate).strip()


def _by_count(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))

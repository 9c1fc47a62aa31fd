"""The rules of contamination, the strongest first: a rule is one file, and one line here.

>>> list(RULES)[:3]
['cve-id', 'exact', 'normalised']
"""

from cybersecqwen.config import Contamination
from cybersecqwen.contamination.rule import Hit, Rule
from cybersecqwen.contamination.rules.answer_aware import ANSWER_AWARE
from cybersecqwen.contamination.rules.cve_id import CVE_ID
from cybersecqwen.contamination.rules.exact import EXACT
from cybersecqwen.contamination.rules.masked import MASKED
from cybersecqwen.contamination.rules.near_duplicate import NEAR_DUPLICATE
from cybersecqwen.contamination.rules.ngram import NGRAM
from cybersecqwen.contamination.rules.normalised import NORMALISED

RULES: dict[str, Rule] = {
    "cve-id": CVE_ID,
    "exact": EXACT,
    "normalised": NORMALISED,
    "masked": MASKED,
    "ngram": NGRAM,
    "near-duplicate": NEAR_DUPLICATE,
    "answer-aware": ANSWER_AWARE,
}
_PLACE = {name: place for place, name in enumerate(RULES)}


def strength(hit: Hit) -> tuple[int, float, str, int]:
    """Return what sorts hits: the strongest rule first, then the higher score."""
    return _PLACE[hit.rule], -hit.score, hit.task, hit.item


def describe_rules(settings: Contamination) -> dict[str, dict[str, object]]:
    """Return each rule's description and parameters, for a certificate."""
    return {
        name: {"description": rule.description, **rule.limits(settings)}
        for name, rule in RULES.items()
    }

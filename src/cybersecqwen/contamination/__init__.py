"""Overlap of texts with benchmark items: the rules, and the index that finds them."""

from cybersecqwen.contamination.decontamination import Decontaminated, decontaminate
from cybersecqwen.contamination.index import BenchmarkIndex
from cybersecqwen.contamination.rule import Hit, Row
from cybersecqwen.contamination.rules import RULES, describe_rules
from cybersecqwen.contamination.words import is_number, normalised, tokens, worded

__all__ = [
    "RULES",
    "BenchmarkIndex",
    "Decontaminated",
    "Hit",
    "Row",
    "decontaminate",
    "describe_rules",
    "is_number",
    "normalised",
    "tokens",
    "worded",
]

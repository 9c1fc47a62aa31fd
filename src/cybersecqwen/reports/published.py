"""Published results of other models on CTI-Bench, and baselines that cost nothing.

Every figure is strict accuracy as its source reports it. Protocols differ (prompt,
shots, extractor), and the same outputs can score many points apart under two of them,
so each row names its protocol.

>>> next(row.cti_rcm for row in PUBLISHED if row.model == "CyberSecQwen-4B")
0.6664
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Accuracy = float | tuple[float, float] | None  # one figure, the lowest and highest of several, none
Book = Literal["open", "closed", "not stated"]  # open: what it answers is looked up


@dataclass(frozen=True, slots=True)
class Published:
    """A comparator: its scores, their source, and the protocol they were made under."""

    model: str
    size: str
    parameters: float | None  # billions
    cti_mcq: Accuracy
    cti_rcm: Accuracy
    spread: tuple[float, float] | None  # standard deviation over trials: (cti_mcq, cti_rcm)
    shots: int | None
    source: str
    protocol: str
    note: str = ""
    mcq_book: Book = "closed"
    rcm_book: Book = "closed"


@dataclass(frozen=True, slots=True)
class PublishedScore:
    """One published figure on other items than those of cti-mcq and cti-rcm."""

    model: str
    task: str
    metric: str
    value: float
    source: str
    protocol: str


CARD = "CyberSecQwen-4B model card"
_OURS = "model-card"  # the protocol of that name
_BASE, _FIVE, _RAW = "pretrained base", "five trials", "not fine-tuned"
_2508, _2510 = "arXiv:2508.01059 and arXiv:2601.21051", "arXiv:2510.14113"
_2609, _AUDIT = "arXiv:2609.08765", "public audit of root-cause mapping, 2026"
_ORIGINAL, _STANDARD = "original", "standardised"  # prompts
_NEW_CVES = "997 CVEs after June 2026"
_RECORD = "measured baseline, figures on record"
_TRIVIAL = "trivial baseline, counted from the gold answers"

# fmt: off
# model, size, parameters, cti_mcq, cti_rcm, spread, shots, source, protocol, note
PUBLISHED = (
    Published("Foundation-Sec-8B", "8B", 8.0, 0.655, 0.745, None, 5, CARD, _OURS, _BASE),
    Published("Foundation-Sec-Instruct-8B", "8B", 8.0, 0.500, 0.685, None, 0, CARD, _OURS),
    Published("CyberPal-2.0-20B", "20B", 20.0, 0.738, 0.728, None, None, CARD, _OURS, "one trial"),
    Published("CyberSecQwen-4B", "4B", 4.0, 0.5868, 0.6664, (0.0029, 0.0023), 0, CARD, _OURS,
              _FIVE),
    Published("Gemma4Defense-2B", "2.3B", 2.3, 0.6042, 0.6754, (0.0090, 0.0035), 0, CARD, _OURS,
              "five trials; the same recipe on Gemma-4-E2B-it"),
    Published("Qwen3-4B-Instruct-2507", "4B", 4.0, 0.473, 0.519, None, 0, CARD, _OURS, _RAW),
    Published("Qwen3-4B-Base", "4B", 4.0, 0.667, 0.517, None, 5, CARD, _OURS, _RAW),
    Published("Gemma-4-E4B-it", "5.1B effective", 5.1, 0.666, 0.618, None, 0, CARD, _OURS, _RAW),
    Published("Gemma-4-E4B-base", "5.1B effective", 5.1, 0.666, 0.588, None, 5, CARD, _OURS, _RAW),
    Published("Foundation-Sec-8B", "8B", 8.0, 0.662, 0.720, None, 5, "arXiv:2504.21039", "paper",
              _BASE),
    Published("Foundation-Sec-8B-Instruct", "8B", 8.0, (0.644, 0.650), (0.692, 0.704), None, 0,
              _2508, "faith"),
    Published("Foundation-Sec-8B-Reasoning", "8B", 8.0, 0.691, 0.753, None, None,
              "arXiv:2601.21051", "its paper's own"),
    Published("CyberPal-2.0-20B", "20B", 20.0, 0.757, 0.874, None, None, _2510, "own template"),
    Published("CyberPal-2.0-4B", "4B", 4.0, 0.697, 0.812, None, None, _2510, "own template"),
    Published("CyberPal-2.0-8B", "8B", 8.0, None, 0.860, None, None, _2510, "own template"),
    Published("RedSage-8B", "8B", 8.0, 0.71, (0.71, 0.78), None, None, "the RedSage paper",
              "its paper's own"),
    Published("RedSage-Qwen3-8B-DPO", "8B", 8.0, None, 0.780, None, None, _2609, _ORIGINAL),
    Published("RedSage-Qwen3-8B-DPO", "8B", 8.0, None, 0.757, None, None, _2609, _STANDARD),
    Published("Qwen3.6-35B", "35B", 35.0, 0.749, 0.680, None, None, _2609, _ORIGINAL),
    Published("Qwen3.6-35B", "35B", 35.0, 0.730, 0.718, None, None, _2609, _STANDARD),
    Published("Primus-Nemotron-70B", "70B", 70.0, 0.715, 0.741, None, 5,
              "the Primus-Nemotron paper", "its paper's own"),
    Published("RoBERTa-base classifier", "125M", 0.125, None, 0.756, None, None,
              "arXiv:2603.14911", "classifier", "fine-tuned on 234,770 CVEs"),
    Published("GPT-4", "", None, 0.710, 0.720, None, 0, "arXiv:2406.07599", "cti-bench"),
    Published("GPT-5", "", None, 0.819, 0.728, None, None, "FAITH results table", "faith"),
    Published("Claude Sonnet 4.6", "", None, 0.836, 0.755, None, None, _2609, _ORIGINAL),
    Published("Claude Sonnet 4.6", "", None, 0.841, 0.754, None, None, _2609, _STANDARD),
    Published("GPT-5.4", "", None, 0.783, 0.740, None, None, _2609, _ORIGINAL),
    Published("GPT-5.4", "", None, 0.785, 0.742, None, None, _2609, _STANDARD),
    Published("GPT-5.5", "", None, None, 0.749, None, None, _AUDIT, "not stated"),
    Published("GPT-4.1", "", None, None, 0.738, None, None, _AUDIT, "not stated"),
    Published("Claude", "", None, None, 0.743, None, None, _AUDIT, "not stated",
              "version not stated"),
    Published("Sec-Gemini v1", "", None, 0.863, 0.861, None, None, "developer claim", "not stated",
              mcq_book="not stated", rcm_book="not stated"),
)

ELSEWHERE = (
    PublishedScore("GPT-4", "cti-vsp", "mad", 1.31, "arXiv:2406.07599", "cti-bench"),
    PublishedScore("Gemini-1.5", "cti-vsp", "mad", 1.09, "arXiv:2406.07599", "cti-bench"),
    PublishedScore("GPT-4", "cti-taa", "strict_accuracy", 0.52, "arXiv:2406.07599", "cti-bench"),
    PublishedScore("GPT-4", "cti-taa", "plausible_rate", 0.86, "arXiv:2406.07599", "cti-bench"),
    PublishedScore("GPT-5.5", _NEW_CVES, "strict_accuracy", 0.772, _AUDIT, "not stated"),
    PublishedScore("GPT-4.1", _NEW_CVES, "strict_accuracy", 0.745, _AUDIT, "not stated"),
    PublishedScore("Claude", _NEW_CVES, "strict_accuracy", 0.765, _AUDIT, "not stated"),
)

BASELINES = (
    Published("TF-IDF + linear classifier", "", None, None, 0.763, None, None, _RECORD,
              "classifier", "about 225,000 labelled CVEs, the benchmark's removed; one CPU"),
    Published("BM25 over ATT&CK, CWE and CAPEC", "", None, 0.647, None, None, None, _RECORD,
              "retrieval", "no language model; one CPU", mcq_book="open"),
    Published("Always C", "", None, 0.371, None, None, None, _TRIVIAL, "none"),
    Published("Always CWE-79", "", None, None, 0.229, None, None, _TRIVIAL, "none"),
)
# fmt: on

"""The analyst: map vulnerabilities to CWEs and answer questions, for the CLI and the API alike.

>>> text = "A deserialization vulnerability allows attackers to execute arbitrary commands."
>>> [result] = classify(text)
>>> result.candidates[0].cwe, result.candidates[0].usage, result.abstain
('CWE-502', 'Allowed', False)
>>> result.rationale.splitlines()[-1]
'CWE-502'
"""

from cybersecqwen.analyst.classification import (
    Candidate,
    Classification,
    Given,
    as_row,
    classify,
)
from cybersecqwen.analyst.classifiers import open_classifier
from cybersecqwen.analyst.questions import ask

__all__ = [
    "Candidate",
    "Classification",
    "Given",
    "as_row",
    "ask",
    "classify",
    "open_classifier",
]

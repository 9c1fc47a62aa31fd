"""Read a CVSS v3.1 base vector: its metrics in words, its score, its severity.

>>> reading = read_vector("CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H")
>>> reading.vector, reading.score, reading.severity
('CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H', '9.8', 'Critical')

Scores are those of the `cvss` library, of the specification at https://www.first.org/cvss/v3.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from cybersecqwen.errors import InputError
from cybersecqwen.synthesis.pair import Grounding

SOURCE = "CVSS v3.1 specification"
_PREFIX = "CVSS:3.1/"

# Each base metric: its name, what its values are called, and what they mean.
METRICS: Mapping[str, tuple[str, Mapping[str, tuple[str, str]]]] = {
    "AV": (
        "Attack Vector",
        {
            "N": ("Network", "the flaw can be exploited remotely, over the network stack"),
            "A": ("Adjacent", "the attacker has to be on the same or a neighbouring network"),
            "L": ("Local", "the attacker needs local access, or a user who opens a file"),
            "P": ("Physical", "the attacker has to touch or handle the device"),
        },
    ),
    "AC": (
        "Attack Complexity",
        {
            "L": ("Low", "no special conditions have to be met"),
            "H": ("High", "success depends on conditions beyond the attacker's control"),
        },
    ),
    "PR": (
        "Privileges Required",
        {
            "N": ("None", "no account is needed"),
            "L": ("Low", "an ordinary user's privileges are needed"),
            "H": ("High", "administrative privileges are needed"),
        },
    ),
    "UI": (
        "User Interaction",
        {
            "N": ("None", "no other person has to do anything"),
            "R": ("Required", "another person has to take some action first"),
        },
    ),
    "S": (
        "Scope",
        {
            "U": ("Unchanged", "the damage stays with the authority that the component is under"),
            "C": ("Changed", "resources beyond the component's own authority are affected"),
        },
    ),
    "C": (
        "Confidentiality",
        {
            "N": ("None", "no information is disclosed"),
            "L": ("Low", "some restricted information is disclosed"),
            "H": ("High", "all or the most critical information is disclosed"),
        },
    ),
    "I": (
        "Integrity",
        {
            "N": ("None", "nothing can be modified"),
            "L": ("Low", "some data can be modified, with limited effect"),
            "H": ("High", "protection against modification is lost altogether"),
        },
    ),
    "A": (
        "Availability",
        {
            "N": ("None", "the service is not affected"),
            "L": ("Low", "performance drops or the service is interrupted at times"),
            "H": ("High", "the service is denied altogether"),
        },
    ),
}


@dataclass(frozen=True, slots=True)
class Reading:
    """A base vector in the canonical order, its metrics, base score and severity."""

    vector: str
    metrics: tuple[tuple[str, str], ...]
    score: str
    severity: str

    def called(self, metric: str) -> str:
        """Name a metric with its value: "Attack Vector: Network (AV:N)"."""
        name, values = METRICS[metric]
        value = dict(self.metrics)[metric]
        return f"{name}: {values[value][0]} ({metric}:{value})"

    def means(self, metric: str) -> str:
        """Say what the value of a metric means."""
        return METRICS[metric][1][dict(self.metrics)[metric]][1]

    def grounding(self) -> Grounding:
        """State the vector with all that is read from it."""
        values = "; ".join(self.called(name) for name, _ in self.metrics)
        text = f"{self.vector}; {values}; base score {self.score}, severity {self.severity}"
        return Grounding(SOURCE, self.vector, text)

    def with_(self, metric: str, value: str) -> Reading:
        """Read the vector with another value of one metric."""
        changed = dict(self.metrics) | {metric: value}
        return _known(_PREFIX + "/".join(f"{m}:{v}" for m, v in changed.items()))


@lru_cache(maxsize=8192)
def read_vector(text: str) -> Reading | None:
    """Read the base metrics of a CVSS v3.0 or v3.1 vector; None where it is none that is valid.

    Base scores under 3.0 and 3.1 are the same for every base vector.
    """
    from cvss import CVSS3
    from cvss.exceptions import CVSS3Error

    try:
        parsed = CVSS3(text.strip().upper().replace("CVSS:3.0/", _PREFIX))
    except CVSS3Error:
        return None
    metrics = tuple((name, str(parsed.metrics[name])) for name in METRICS)
    vector = _PREFIX + "/".join(f"{name}:{value}" for name, value in metrics)
    return Reading(vector, metrics, str(parsed.scores()[0]), parsed.severities()[0])


def _known(vector: str) -> Reading:
    reading = read_vector(vector)
    if reading is None:
        raise InputError(f"no CVSS v3 base vector: {vector!r}")
    return reading

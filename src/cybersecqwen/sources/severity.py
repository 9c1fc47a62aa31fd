"""The severities of a record in CVSS: each with its score and the word for it.

>>> vector = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
>>> record = Vulnerability("CVE-2021-0001", "", "", cvss3_vector=vector)
>>> main_severity(record).score, severity(main_severity(record))
(9.8, 'Critical')
"""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache

from cybersecqwen.records import Cvss, Vulnerability

# Lower bounds of severities, by the first digit of CVSS's version; version 2 has three.
_SEVERITIES = {
    "2": ((7.0, "High"), (4.0, "Medium"), (0.0, "Low")),
    "3": ((9.0, "Critical"), (7.0, "High"), (4.0, "Medium"), (0.1, "Low"), (0.0, "None")),
}


def severities(record: Vulnerability) -> tuple[Cvss, ...]:
    """Return the record's severities, each with a score; a table has a vector alone."""
    vector = record.cvss3_vector
    if not record.cvss and vector:
        return (_scored(Cvss("", vector.removeprefix("CVSS:").partition("/")[0], vector)),)
    return tuple(map(_scored, record.cvss))


def ranked_severities(record: Vulnerability, version: str = "3") -> list[Cvss]:
    """List the record's severities, those of a version, by its first digit, before the others."""
    return sorted(severities(record), key=lambda one: one.version[:1] != version)


def main_severity(record: Vulnerability, version: str = "") -> Cvss | None:
    """Return the first severity with a score: of a version, or of version 3 before any other."""
    ranked = (one for one in ranked_severities(record, version or "3") if one.score is not None)
    first = next(ranked, None)
    return first if first and version in ("", first.version[:1]) else None


def has_score(record: Vulnerability, least: float, most: float) -> bool:
    """Tell whether the main severity has a score from `least` to `most`."""
    main = main_severity(record)
    return main is not None and main.score is not None and least <= main.score <= most


@lru_cache(maxsize=1 << 14)  # more vectors than the records of all CVEs have
def _scored(one: Cvss) -> Cvss:
    """Compute a score that the source does not give; a vector that is not whole has none."""
    if one.score is not None:
        return one
    from cvss import CVSS2, CVSS3, CVSS4
    from cvss.exceptions import CVSSError

    with suppress(CVSSError):
        read = {"2": CVSS2, "3": CVSS3, "4": CVSS4}.get(one.version[:1], CVSS3)
        return one._replace(score=float(read(one.vector).base_score))
    return one


def severity(cvss: Cvss) -> str:
    """Return the word for a score: None, Low, Medium, High or Critical; "" for none from 0 on."""
    if cvss.score is None:
        return ""
    bounds = _SEVERITIES.get(cvss.version[:1], _SEVERITIES["3"])
    return next((word for least, word in bounds if cvss.score >= least), "")

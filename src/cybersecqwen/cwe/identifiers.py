"""Read CVE and CWE ids in the spellings that people use, and normalise them.

>>> cve_ids("Fixed: cve-2021-44228, also CVE\u20112021\u201145046 (log4j).")
['CVE-2021-44228', 'CVE-2021-45046']
>>> normalise_ids("CWE 79, cwe_089")
'CWE-79, CWE-89'

A hyphen may be any dash of Unicode or an underscore, letters may be of either case, and behind
"CVE" or "CWE" there may be a space. Whether an entry or a record of that id exists is not checked.
"""

from __future__ import annotations

import re

# Hyphens and dashes, the minus sign, their small and full-width forms, and the underscore.
_DASH = "-_\u2010-\u2015\u2212\ufe58\ufe63\uff0d"
_SPACE = " \u00a0\u2007\u202f"

# The syntax that the CVE Program gives ids, for schemas: four digits or more.
CVE_SYNTAX = "CVE-[0-9]{4}-[0-9]{4,}"

CVE_ID = re.compile(
    rf"(?<![A-Z0-9])CVE[{_DASH}{_SPACE}]([0-9]{{4}})[{_DASH}]([0-9]+)", re.IGNORECASE
)
CWE_ID = re.compile(
    rf"(?<![A-Z0-9])(?:CWE[{_DASH}{_SPACE}]?|cwe\.mitre\.org/data/definitions/)0*([1-9][0-9]*)",
    re.IGNORECASE,
)


def cve_ids(text: str) -> list[str]:
    """List the CVE ids in a text in their order, each once, as "CVE-2021-44228"."""
    return list(dict.fromkeys(_cve(match) for match in CVE_ID.finditer(text)))


def normalise_cve(text: str) -> str:
    """Return the CVE id that a text consists of, as "CVE-2021-44228"; "" where it is none."""
    match = CVE_ID.fullmatch(text.strip())
    return _cve(match) if match else ""


def normalise_ids(text: str) -> str:
    """Write the CVE and CWE ids in a text in their usual form.

    >>> normalise_ids("Is cwe 079 the flaw of CVE\u20112021\u201144228?")
    'Is CWE-79 the flaw of CVE-2021-44228?'
    """
    return CWE_ID.sub(_cwe, CVE_ID.sub(_cve, text))


def cve_year(cve_id: str) -> str:
    """Return the year in a CVE id, as four digits; "" where the text is not a CVE id."""
    return normalise_cve(cve_id)[4:8]


def _cve(match: re.Match[str]) -> str:
    year, number = match.groups()
    # Ids are padded to four digits and no further: CVE-2014-0160, CVE-2021-44228.
    return f"CVE-{year}-{number.lstrip('0').zfill(min(4, len(number)))}"


def _cwe(match: re.Match[str]) -> str:
    return f"CWE-{match[1]}"

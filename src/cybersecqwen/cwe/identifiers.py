r"""Read CVE, CWE, CAPEC and ATT&CK ids in the spellings that people use, and normalise them.

>>> cve_ids("Fixed: cve-2021-44228, also CVE\u20112021\u201145046 (log4j).")
['CVE-2021-44228', 'CVE-2021-45046']
>>> normalise_ids("CWE 79, cwe_089, t1059/001, https://capec.mitre.org/data/definitions/66.html")
'CWE-79, CWE-89, T1059.001, CAPEC-66'
>>> unread_ids("Is T10599 a form of T1059, and CWE-79x one of CWE-79?")
['T10599', 'CWE-79x']

A hyphen may be any dash of Unicode or an underscore, letters may be of either case or full-width,
and an id may stand in an address. Whether an entry or a record of that id exists is not checked.
"""

from __future__ import annotations

import re

# The syntax that the CVE Program gives ids, for schemas: four digits or more.
CVE_SYNTAX = "CVE-[0-9]{4}-[0-9]{4,}"
# The prefixes of ATT&CK's ids, before four digits.
_ATTACK = "(?:TA|T|G|S|C|M|DS|DC|DET|AN|A)"
ATTACK_SYNTAX = rf"{_ATTACK}[0-9]{{4}}(?:\.[0-9]{{3}})?"

# One character for one, so that places stay: dashes and the minus sign, small and full-width
# forms, and spaces that do not break.
_FOLDED: dict[int, int | str] = {
    **{code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)},
    **dict.fromkeys([*range(0x2010, 0x2016), 0x2212, 0xFE58, 0xFE63], "-"),
    **dict.fromkeys([0xA0, 0x2007, 0x202F, 0x3000], " "),
}

# Characters that no reader sees: soft hyphens, zero-width spaces and joiners.
_UNSEEN = dict.fromkeys([0xAD, *range(0x200B, 0x200E), 0x2060, 0xFEFF])

# Blanks around a dash, or a line's end behind it, only where both dashes are there.
_CVE = (
    r"CVE(?:(?P<dash>\s?[-_]\s?)|(?:[-\x20]ID)?[:\x23]?\x20?)(?P<year>[0-9]{4})"
    r"(?:[-_]|\x20(?=[0-9]{4})|(?(dash)\s?[-_]\s?|(?!)))(?P<number>[0-9]+)"
)
_CVE_ID = re.compile(rf"(?<![A-Z0-9]){_CVE}", re.IGNORECASE)
_ADDRESS = r"https?://(?:[^\s<>\"]{0,200}[/=])?"
_ID = re.compile(
    rf"""(?<![A-Z0-9])(?:{_ADDRESS})?(?:
        {_CVE}
        | (?P<base>CWE|CAPEC)(?:[-_ ]|\.mitre\.org/data/definitions/)?
          0*(?P<entry>[1-9][0-9]*)(?:\.html)?
        | (?P<attack>{_ATTACK}[0-9]{{4}})(?:[./_-](?P<part>[0-9]{{3}}))?(?![./_-][0-9])
    )(?![A-Z0-9]|\.[0-9])""",
    re.IGNORECASE | re.VERBOSE,
)
# What begins as an id does, up to where the digits, letters and signs of ids end.
_BEGUN = re.compile(
    rf"(?<![A-Z0-9])(?:CVE(?:[-_]| ?(?=[0-9]+[-_]))|(?:CWE|CAPEC)[-_ ]?|{_ATTACK}(?=[0-9]{{4}}))"
    r"[0-9][A-Z0-9]*(?:[-_./][0-9][A-Z0-9]*)*",
    re.IGNORECASE,
)


def cve_ids(text: str) -> list[str]:
    """List the CVE ids in a text in their order, each once, as "CVE-2021-44228".

    One with letters behind its number counts too, so that an audit misses none.
    """
    return list(dict.fromkeys(_usual(match) for match in _CVE_ID.finditer(_seen(text))))


def entry_ids(text: str) -> list[str]:
    """List the CWE, CAPEC and ATT&CK ids in a text in their order, each once."""
    matches = _ID.finditer(_seen(text))
    return list(dict.fromkeys(_usual(match) for match in matches if not match["year"]))


def normalise_cve(text: str) -> str:
    """Return the CVE id that a text consists of, as "CVE-2021-44228"; "" where it is none."""
    match = _ID.fullmatch(_seen(text.strip()))
    return _usual(match) if match and match["year"] else ""


def normalise_ids(text: str) -> str:
    """Write the ids in a text in their usual form, and leave the rest as it is.

    >>> normalise_ids("Is cwe 079 the flaw of CVE\u20112021\u201144228?")
    'Is CWE-79 the flaw of CVE-2021-44228?'
    """
    parts, end = [], 0
    for match in _ID.finditer(_folded(text)):
        parts += [text[end : match.start()], _usual(match)]
        end = match.end()
    return "".join([*parts, text[end:]])


def unread_ids(text: str) -> list[str]:
    """List what begins as an id does and is none: "CVE-2024-12", "T10599", "CWE-79x"."""
    begun = (match[0] for match in _BEGUN.finditer(_folded(text)))
    return [word for word in dict.fromkeys(begun) if not _is_whole(word)]


def cve_year(cve_id: str) -> str:
    """Return the year in a CVE id, as four digits; "" where the text is not a CVE id."""
    return normalise_cve(cve_id)[4:8]


def _folded(text: str) -> str:
    return text if text.isascii() else text.translate(_FOLDED)


def _seen(text: str) -> str:
    return text if text.isascii() else _folded(text).translate(_UNSEEN)


def _is_whole(word: str) -> bool:
    match = _ID.fullmatch(word)
    return match is not None and (not match["year"] or len(match["number"]) >= 4)


def _usual(match: re.Match[str]) -> str:
    parts = match.groupdict()
    if number := parts["number"]:
        # Ids are padded to four digits and no further: CVE-2014-0160, CVE-2021-44228.
        return f"CVE-{parts['year']}-{number.lstrip('0').zfill(min(4, len(number)))}"
    if parts["base"]:
        return f"{parts['base'].upper()}-{parts['entry']}"
    return parts["attack"].upper() + (f".{parts['part']}" if parts["part"] else "")

r"""CTI-RCM: map a CVE description to its CWE (CTI-Bench, arXiv:2406.07599).

prompt    Analyze the following CVE description and map it to the appropriate CWE. […]
gold      CWE-502
response  Untrusted data reaches destruct().\n\nCWE-502

CTI-RCM-2021 is the same task on CVEs of the years 2011 to 2021.
"""

from __future__ import annotations

import re

from cybersecqwen.benchmark.tasks.task import NO_ANSWER, Extraction, Extractor, Task, plain

_CWE = re.compile(r"CWE-(\d+)", re.IGNORECASE)
_CWE_UPPER = re.compile(r"CWE-\d+")
# U+2011 is a hyphen at which no line breaks; some models write it.
_FAITH_PROPER = re.compile(r"\bcwe[-\u2011](\d+)\b", re.IGNORECASE)
_FAITH_IMPROPER = re.compile(r"\b(?:cwe|id):\s+(\d+)\b", re.IGNORECASE)


def last_cwe(text: str) -> str | None:
    """Take the last `CWE-<digits>` anywhere in the response, any case."""
    found = _CWE.findall(text)
    # Leading zeros name the same entry: CWE-079 is CWE-79.
    return f"CWE-{found[-1].lstrip('0') or '0'}" if found else None


def last_upper_cwe(text: str) -> str | None:
    """Take the last `CWE-<digits>` as the authors' notebook does, else a bare id of any case."""
    found = _CWE_UPPER.findall(text)
    if found:
        return str(found[-1])
    bare = " ".join(text.split("\n")).upper()
    return bare if bare.startswith("CWE-") else None


def unique_cwe(text: str) -> Extraction:
    """Take the CWE id if it is the only one; `id: 79` is improper (FAITH 0.3.2)."""
    for pattern, proper in ((_FAITH_PROPER, True), (_FAITH_IMPROPER, False)):
        found = set(pattern.findall(text))
        if len(found) == 1:
            return Extraction(f"CWE-{found.pop()}", proper)
    return NO_ANSWER


def _task(name: str, summary: str) -> Task:
    every = ("item", "faith", "base", "faith-base")
    return Task(
        name=name,
        summary=summary,
        extractors={
            "last-cwe": Extractor("last `CWE-<digits>` anywhere, any case", plain(last_cwe), every),
            "last-upper-cwe": Extractor(
                "last `CWE-<digits>`, upper case", plain(last_upper_cwe), every
            ),
            "unique-cwe": Extractor(
                "the CWE id if it is unique in the whole output, also with U+2011; `id: 79` is "
                "improper",
                unique_cwe,
                every,
            ),
        },
    )


TASK = _task("cti-rcm", "map a CVE description to its CWE")
TASK_2021 = _task("cti-rcm-2021", "map a CVE description of 2011 to 2021 to its CWE")

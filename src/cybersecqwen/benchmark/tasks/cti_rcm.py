r"""CTI-RCM: map a CVE description to its CWE (CTI-Bench, arXiv:2406.07599).

prompt    Analyze the following CVE description and map it to the appropriate CWE. […]
gold      CWE-502
response  Untrusted data reaches destruct().\n\nCWE-502
"""

from __future__ import annotations

import re

from cybersecqwen.benchmark.tasks.task import Task
from cybersecqwen.prompts import BASE_RCM_PREAMBLE, rcm_shot
from cybersecqwen.records import Item

_CWE = re.compile(r"CWE-(\d+)", re.IGNORECASE)


def last_cwe(text: str) -> str | None:
    """Take the last `CWE-<digits>` anywhere in the response, any case."""
    found = _CWE.findall(text)
    # Leading zeros name the same entry: CWE-079 is CWE-79.
    return f"CWE-{found[-1].lstrip('0') or '0'}" if found else None


def _shot(item: Item, answered: bool) -> str:
    return rcm_shot(item.text, item.gold if answered else "")


TASK = Task(
    name="cti-rcm",
    summary="map a CVE description to its CWE",
    preamble=BASE_RCM_PREAMBLE,
    shot=_shot,
    stop=("\n\n", "\nCVE Description:"),
    extractors={"last-cwe": last_cwe},
)

"""Parity as text: one row for each model that was held against the merged one.

print(parity_text(read_json(run / "parity.json")))
"""

from __future__ import annotations

import json

from cybersecqwen.files import Json
from cybersecqwen.reports.markdown import document


def parity_text(report: Json, *, addresses: bool = True) -> str:
    """Render parity as a table, with the first difference of each and the scores below.

    The `addresses` of servers are for who asked them, and not for a card.
    """
    return document(
        "reports/parity.md.jinja", json=json.dumps, addresses=addresses, **report
    ).rstrip("\n")

"""Refuse what helps to attack: exploit code, payloads, commands, and instructions to use them.

The rules are of the model card's out-of-scope use, and stand in offensive_content.toml. They look
for the thing itself and not for the words of the trade: a description may say that an attacker can
inject a script, and may not carry the script.

>>> offence("An attacker can execute arbitrary SQL commands via the id parameter.")
''
>>> offence("Send id=1' OR '1'='1 to log in as anyone.")
'payload'
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

_TABLES = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))

# By rule: what it is, as a pattern. The first that matches is the reason.
RULES: dict[str, re.Pattern[str]] = {
    name: re.compile(
        "|".join(table["patterns"]), 0 if table.get("case_sensitive") else re.IGNORECASE
    )
    for name, table in _TABLES.items()
}
DESCRIPTIONS: dict[str, str] = {name: table["description"] for name, table in _TABLES.items()}


def offence(text: str) -> str:
    """Name the rule that a text breaks, "" where it breaks none."""
    return next((rule for rule, pattern in RULES.items() if pattern.search(text)), "")

r"""Refuse what helps to attack: exploit code, payloads, commands, and instructions to use them.

The rules are of the model card's out-of-scope use. They look for the thing itself and not for the
words of the trade: a description may say that an attacker can inject a script, and may not carry
the script.

>>> offence("An attacker can execute arbitrary SQL commands via the id parameter.")
''
>>> offence("Send id=1' OR '1'='1 to log in as anyone.")
'payload'
"""

from __future__ import annotations

import re

# By rule: what it is, as a pattern. The first that matches is the reason.
RULES: dict[str, re.Pattern[str]] = {
    "shellcode": re.compile(r"(?:\\x[0-9a-fA-F]{2}){4,}|(?:%u[0-9a-fA-F]{4}){3,}|\bA{24,}"),
    "payload": re.compile(
        # script that runs, queries that are always true, entities that read files, look-ups
        r"<script[^>]*>\s*[\w.$]+\s*\(|<(?:img|svg|iframe|body|input|video)\b[^>]*\bon\w+\s*=\s*\S"
        r"|javascript:\s*\w+\s*[(`]|'\s*(?:or|and)\s+'?\d+'?\s*=\s*'?\d"
        r"|\bunion\s+(?:all\s+)?select\s+[\w,\s*@()]+(?:from|--|#)"
        r"|<!ENTITY\s+%?\s*\w+\s+SYSTEM|\$\{jndi:\w+://|\{\{\s*\d+\s*\*\s*\d+\s*\}\}"
        r"|(?:\.\./){2,}(?:etc|windows|proc)/|\bsleep\(\d+\)\s*(?:--|#|;|')|\bexec(?:ute)?\s+(?:master\.\.)?xp_cmdshell\s+'",
        re.IGNORECASE,
    ),
    "command": re.compile(
        r"\bbash\s+-[ic]\b|/dev/tcp/|\bnc(?:at)?\s+(?:-\w+\s+)*-e\b|\bmsf(?:venom|console)\b"
        r"|\buse\s+exploit/|\bpowershell(?:\.exe)?\s+(?:-\w+\s+)*-e(?:nc|ncodedcommand)?\s+\S{16,}"
        r"|\b(?:curl|wget)\s+\S+\s*\|\s*(?:ba|z)?sh\b|;\s*(?:cat|rm|wget|curl|chmod)\s+-?[/\w]"
        r"|\bsqlmap\s+-|\bhydra\s+-[lLpP]\b|\bhashcat\s+-[am]\b|\beval\s*\(\s*base64_decode"
        r"|\bos\.system\s*\(|\bsubprocess\.\w+\s*\(|\b__import__\s*\(",
        re.IGNORECASE,
    ),
    "encoded blob": re.compile(r"(?<![\w/])[A-Za-z0-9+]{120,}={0,2}"),
    "instruction": re.compile(
        # someone is asked for an attack, or told how to carry one out
        r"(?:^|[.!?:,]\s+|\bplease\s+|\b(?:can|could|would|will) you\s+)"
        r"(?:write|create|build|generate|develop|give|provide|show)\s+(?:me\s+)?(?:an?\s+|the\s+"
        r"|some\s+)?(?:\w+\s+){0,2}(?:exploit|payload|shellcode|malware|ransomware|keylogger|backdoor"
        r"|web ?shell|phishing (?:e-?mail|page))\b"
        r"|(?:^|[.!?:,]\s+|\bexplain\s+)how (?:do|can|would|could|should|to)\s?"
        r"(?:i|you|we|one|an attacker|attackers)?\s*"
        r"(?:exploit|hack|attack|break into|compromise|weaponi[sz]e|evade|bypass|phish)\b"
        r"|\b(?:to|in order to) (?:exploit|trigger|reproduce) (?:this|it|the (?:flaw|bug|"
        r"vulnerability|issue))\b[^.]{0,60}?[,:]\s*(?:first\b|then\b|simply\b|just\b|send\b"
        r"|run\b|open\b|use\b|craft\b|log in\b)"
        r"|(?:^|\n)\s*(?:step\s*)?[1-9][.):]\s+(?:craft|send|inject|upload|execute|run|exploit|host"
        r"|intercept|brute|spray|dump|capture)\b"
        r"|\b(?:working|weaponi[sz]ed|functional) (?:exploit|proof[- ]of[- ]concept)\b",
        re.IGNORECASE,
    ),
}

DESCRIPTIONS = {
    "shellcode": "bytes of machine code, or the filler of an overflow",
    "payload": "an input that attacks: script, query, entity, look-up, path out of a folder",
    "command": "a command line or call that attacks, downloads and runs, or hides what it does",
    "encoded blob": "120 and more characters of Base64 or hex in a row",
    "instruction": "a request for an attack, or steps to carry one out",
}


def offence(text: str) -> str:
    """Name the rule that a text breaks, "" where it breaks none."""
    return next((rule for rule, pattern in RULES.items() if pattern.search(text)), "")

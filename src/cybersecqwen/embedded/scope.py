"""Tell a text that is none to classify: empty, not English, or about no vulnerability.

>>> out_of_scope([], pairs=0.0, chance=0.0)
'the text is empty'
>>> out_of_scope("le chat est dans la maison".split(), pairs=0.1, chance=0.05)
'the text is not English'
>>> out_of_scope("add two cups of flour".split(), pairs=0.0, chance=0.02)
'the text does not describe a vulnerability'

The limits were set on held-out CVE descriptions, see docs/lab/embedded.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from cybersecqwen.embedded.tokenizer import NUMBER

EMPTY = "the text is empty"
FOREIGN = "the text is not English"
UNRELATED = "the text does not describe a vulnerability"

_CHANCE = 0.2  # a first class from here on is a sign by itself
# Shares of neighbouring words known from descriptions, below which a text reads otherwise:
# with a word of a flaw in it, and without one.
_PAIRS, _BARE_PAIRS = 0.3, 0.5
_OTHER_SCRIPT = 0.3  # of the words that hold a letter beyond a to z


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Words of flaws, of those who use them, and of what comes of it.
_SIGNS = _set(
    """
    abuse abused abuses abusing adversary arbitrary attack attacker attackers attacks backdoor
    bypass bypassed bypasses bypassing cleartext clickjacking corrupt corrupted corruption crafted
    crash crashed crashes credential credentials csrf cve cwe denial dereference deserialization
    disclose disclosed discloses disclosure dos elevate elevation encryption escalate escalation
    exfiltrate exploit exploitable exploitation exploited exploits exposure flaw flaws forge forged
    forgery hang hardcoded hijack hijacked hijacking impersonate improper improperly inadequate
    incorrectly inject injected injecting injection injections insecure insecurely insufficient
    lack lacks leak leakage leaked leaks malformed malicious maliciously mishandle mishandled
    mishandles mishandling overflow overflows overly overread overwrite password passwords phishing
    plaintext poisoning pollution privilege privileges race rce redos remote sandbox sanitization
    sanitize sanitized scripting sensitive smuggling spoof spoofed spoofing sqli ssrf steal stealing
    tamper tampering traversal unauthenticated unauthorised unauthorized uncontrolled underflow
    unencrypted unescaped uninitialised uninitialized unintended unprotected unquoted unrestricted
    unsafe unsanitized unspecified untrusted unvalidated victim victims vulnerabilities
    vulnerability vulnerable weak weakness weaknesses xss xxe
    """
)
_BEFORE_VERSION = frozenset({"before", "through", "to", "in"})  # "before 1.2", "prior to 3"

_ENGLISH = _set(
    "a an and are as at be by can for from has have in is it its of on or that the this to was "
    "when which with via not before after could may"
)
# The commonest words of the languages that advisories are written in, none of them English.
_OTHER = _set(
    "al aux avec che con dans das de dei del della den der des di die du ein eine el en es est et "
    "gli het il la las le les los mit nella nicht nie oder para per pour por que qui se sind sur "
    "te um un una und une van voor von wird y zu zum"
)


def out_of_scope(cut: Sequence[str], *, pairs: float, chance: float) -> str:
    """Say why a text, given as its words, is none to classify; "" where it is one.

    `pairs` is the share of its pairs of neighbouring words that the classifier knows, and
    `chance` the probability of its first class.
    """
    if not any(word != NUMBER for word in cut):
        return EMPTY
    if _foreign(cut):
        return FOREIGN
    if chance >= _CHANCE or pairs >= _BARE_PAIRS or (pairs >= _PAIRS and _signs(cut)):
        return ""
    return UNRELATED


def _foreign(cut: Sequence[str]) -> bool:
    if not "".join(cut).isascii():
        others = sum([not word.isascii() for word in cut])
        if others > _OTHER_SCRIPT * len(cut):
            return True
    if _OTHER.isdisjoint(cut):
        return False
    other = sum([word in _OTHER for word in cut])
    return other >= 2 and other > sum([word in _ENGLISH for word in cut])


def _signs(cut: Sequence[str]) -> bool:
    return not _SIGNS.isdisjoint(cut) or any(
        word in _BEFORE_VERSION and following == NUMBER for word, following in pairwise(cut)
    )

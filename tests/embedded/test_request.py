"""What a question asks for, in any wording."""

from __future__ import annotations

import pytest

from cybersecqwen.embedded.lexicon import question_lexicon
from cybersecqwen.embedded.phrases import tokens
from cybersecqwen.embedded.request import read_request


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("How would you prevent it?", "mitigation"),
        ("what should we change", "mitigation"),
        ("Gegenmaßnahmen dazu?", "mitigation"),
        ("如何缓解它", "mitigation"),
        ("which event ids show it", "detection"),
        ("Comment le détecter ?", "detection"),
        ("who uses it", "group"),
        ("Which campaigns are attributed to it", "campaign"),
        ("which gang is behind it", "group"),
        ("what ransomware did they deploy", "software"),
        ("its sub-techniques", "child"),
        ("is it a sub-technique of that", "parent"),
        ("which OS", "platform"),
        ("is it ok to map a CVE to it", "usage"),
        ("which weaknesses does it require", "requires"),
        ("something more specific", "specific"),
        ("aka?", "alias"),
        ("how severe is it", "severity"),
        ("How does malware hide", "technique"),
        ("", "definition"),
    ],
)
def test_what_is_asked_for_is_read(text: str, asked: str) -> None:
    assert read_request(tokens(text), text=text).asked == asked


def test_a_kind_beside_a_name_of_that_kind_is_no_question() -> None:
    cut = tokens("the campaign Aurora")
    assert read_request(cut, {2: {"campaign"}}).asked == "definition"
    assert read_request(cut, {2: {"group"}}).asked == "campaign"


def test_restrictions_are_read() -> None:
    request = read_request(tokens("Which ransomware do both use on Linux to get in or spread?"))
    assert request.tactics == ("Initial Access", "Lateral Movement")
    assert (request.platforms, request.both, request.either) == (("Linux",), True, True)


def test_paths_ask_for_what_may_be_asked_for() -> None:
    lexicon = question_lexicon()
    for paths in lexicon["paths"].values():
        assert set(paths) <= set(lexicon["asked"])

"""Terms: what is one term, what is left out, what stays as it is."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cybersecqwen.embedded.terms import hashed, stem, terms, words


@pytest.mark.parametrize(
    "forms",
    [
        ("dump", "dumps", "dumping", "dumped"),
        ("policy", "policies"),
        ("escalate", "escalation", "escalating"),
        ("execute", "executed", "execution", "executing"),
        ("modify", "modified", "modifies"),
        ("mitigate", "mitigation", "mitigating"),
        ("run", "running"),
    ],
)
def test_forms_of_a_word_are_one_term(forms: tuple[str, ...]) -> None:
    assert len({stem(form) for form in forms}) == 1, {form: stem(form) for form in forms}


@pytest.mark.parametrize(("one", "other"), [("access", "acces"), ("status", "statu"), ("ls", "l")])
def test_what_looks_like_an_ending_stays(one: str, other: str) -> None:
    assert stem(one) != other


def test_ids_are_whole() -> None:
    text = "T1059.001, CWE-79, capec-66, DS0017 and SHA-256: UTF-8"
    assert words(text) == [
        "t1059.001", "cwe-79", "capec-66", "ds0017", "and", "sha-256", "utf-8"
    ]  # fmt: skip


def test_the_frame_of_a_question_is_no_term() -> None:
    assert terms("Which of the following is, according to MITRE ATT&CK, best described?") == []
    assert terms("attack") == ["attack"]


def test_terms_keep_order_and_repetition() -> None:
    assert terms("Shell, file, shells") == ["shell", "fil", "shell"]


def test_hashes_are_crc_32() -> None:
    assert hashed(["shell", ""]).tolist() == [zlib.crc32(b"shell"), 0]


@given(st.text())
def test_any_text_gives_terms_that_are_their_own_words(text: str) -> None:
    assert all(term and term == term.lower() for term in terms(text))

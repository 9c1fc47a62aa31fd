"""Descriptions of flaws in everyday words and in code, which name no weakness."""

from __future__ import annotations

import pytest

from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.embedded.lexicon import read_lexicon
from cybersecqwen.embedded.question_answering import NOT_COVERED, answer_question
from cybersecqwen.embedded.situation import hinted, in_english


@pytest.fixture(scope="module")
def index() -> KnowledgeIndex:
    return KnowledgeIndex.load()


@pytest.mark.parametrize(
    ("text", "entry_id"),
    [
        ("char line[80]; gets(line);", "CWE-120"),
        ("var secret = rand.New(rand.NewSource(time.Now())); token := r.Int()  cwe?", "CWE-338"),
        ("curl_setopt(CURLOPT_SSL_VERIFYPEER) off, every cert is accepted - cwe?", "CWE-295"),
        ("the UART pins on our router board are open and give a root shell, cwe", "CWE-1191"),
        (
            "we got the RSA key off the chip by measuring its power consumption. weakness?",
            "CWE-1300",
        ),
        ("the 5 digit door code never locks, you can keep trying, cwe?", "CWE-307"),
        (
            "swap the customer number in the api path and you get another patient's record",
            "CWE-639",
        ),
        ("PATCH /profile saves every field of the json body, so I added role: admin", "CWE-915"),
        ("two transfers at the same time and the balance goes below zero, cwe?", "CWE-362"),
        ("a tiny gzip archive inflates to 80 gb, which cwe is that", "CWE-409"),
        ("our CI pipeline prints the database password into its log", "CWE-532"),
        ("malloc in a loop and nobody ever frees it, ram grows until it dies. cwe", "CWE-401"),
        ("a recorded fob signal sent again later still opens the garage", "CWE-294"),
        ("the signup form says 'taken' for an email with an account, cwe", "CWE-203"),
        ("the assistant follows commands hidden in a ticket", "CWE-1427"),
        ("the pdf export fetches any url, even localhost, cwe?", "CWE-918"),
    ],
)
def test_a_described_flaw_is_linked(index: KnowledgeIndex, text: str, entry_id: str) -> None:
    answer = answer_question(index, text)
    assert answer.covered
    assert entry_id in answer.answer.partition(". ")[0]


def test_c_code_leads_to_no_weakness_of_php(index: KnowledgeIndex) -> None:
    assert "PHP" not in answer_question(index, "FILE *f; gets(f->name); weakness?").answer
    assert "CWE-98 " in answer_question(index, "include($_GET['lang']) in a template, cwe").answer


def test_what_is_said_not_to_be_it_is_not_the_answer(index: KnowledgeIndex) -> None:
    text = "the mongo filter is taken from the login form, so this isn't SQL injection. which then?"
    said = answer_question(index, text).answer
    assert "CWE-943" in said
    assert "CWE-89 " not in said
    text = "this is no XSS, the login form just redirects to any evil url"
    assert "CWE-601" in answer_question(index, text).answer
    assert "CWE-89 " in answer_question(index, "Is it SQL injection or not?").answer


@pytest.mark.parametrize(
    ("text", "entry_id"),
    [
        ("¿Qué CWE es la inyección SQL?", "CWE-89"),
        ("Welche CWE hat ein Pufferüberlauf?", "CWE-120"),
        ("Quelle CWE pour une traversée de répertoires ?", "CWE-22"),
        ("Quel CWE si le mot de passe est écrit dans le code source ?", "CWE-259"),
        ("Welche CWE passt, wenn ein Passwort im Klartext gespeichert wird?", "CWE-256"),
    ],
)
def test_flaws_are_known_in_other_languages(
    index: KnowledgeIndex, text: str, entry_id: str
) -> None:
    assert answer_question(index, text).answer.startswith(entry_id)


def test_english_stays_as_it_is() -> None:
    assert in_english("the password is in the code") == "the password is in the code"


@pytest.mark.parametrize(
    "text",
    [
        "my zip file does not open",
        "he logged in with his password",
        "how long does the post take to Rome",
    ],
)
def test_everyday_matters_hold_no_clue(index: KnowledgeIndex, text: str) -> None:
    assert hinted(index, text) == {}
    assert answer_question(index, text).answer.startswith((NOT_COVERED, "The closest match: T"))


def test_clues_are_of_weaknesses_in_force(index: KnowledgeIndex) -> None:
    for entry_id, clues in read_lexicon("situations.toml")["clues"].items():
        entry = index.entry(entry_id)
        assert entry is not None
        assert entry.kind == "weakness"
        assert clues

"""Templates are checked when they are loaded: one error says which file, which key and what."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from cybersecqwen.errors import InputError
from cybersecqwen.synthesis import wording
from cybersecqwen.synthesis.relation_questions import read_relations
from cybersecqwen.synthesis.wording import fill, load_templates, say

LAYOUT = {
    "fix": {"open": {"question": "product", "answer": "product! version!"}},
    "line": "one: text!",
}
GOOD = """
line = "Text: {text}"
[fix.open]
question = ["What should be done?", "Which {product}?"]
answer = ["Update {product} to {version}.", "Install {version} of {product}."]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(wording, "TEMPLATES", tmp_path)
    monkeypatch.setitem(wording.PLACEHOLDERS, "a.toml", LAYOUT)
    return tmp_path


def test_a_sound_file_is_read_as_it_is(folder: Path) -> None:
    (folder / "a.toml").write_text(GOOD)
    assert load_templates("a.toml")["fix"]["open"]["question"][1] == "Which {product}?"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("to {version}", "to {versoin}", r"fix.open.answer: unknown placeholder \{versoin\} in"),
        ("to {version}.", "now.", r"fix.open.answer: no \{version\} in 'Update"),
        ("question = [", "questions = [", "fix.open.questions: unknown key .*question, answer"),
        ('line = "Text: {text}"', "", "line: is missing"),
        ('"Text: {text}"', "[]", "line: is not one text"),
        ('["What should be done?", "Which {product}?"]', "[]", "question: needs at least one"),
        ('["What should be done?", "Which {product}?"]', "7", "question: needs at least one"),
        ('"What should be done?"', "7", "question: 7 is no text"),
        ('"What should be done?"', '" "', "question: ' ' is no text"),
        ("[fix.open]", "[fix.open", "is not valid TOML"),
        ("[fix.open]", "[fix]\nopen = 1\n[other]", "other: unknown key"),
    ],
)
def test_what_is_wrong_is_said_with_file_and_key(
    folder: Path, old: str, new: str, said: str
) -> None:
    assert old in GOOD
    (folder / "a.toml").write_text(GOOD.replace(old, new))
    with pytest.raises(InputError, match=rf"a\.toml: .*{said}"):
        load_templates("a.toml")


RELATION = """
[tactic]
kind = "technique"
relation = "tactic"
subjects = ["technique"]
targets = ["tactic"]
grounding = "tactic"
choice.question = "Which tactic does {subject} serve?"
choice.answer = "It serves {right}."
"""


def test_a_relation_is_one_table(folder: Path) -> None:
    (folder / "a.toml").write_text(RELATION)
    (relation,) = read_relations("a.toml")
    assert (relation.topic, relation.open, relation.longest) == ("tactic", None, 6)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('kind = "technique"', 'kind = "techniques"', "tactic.kind: "),
        ('relation = "tactic"\n', "", "tactic.relation: "),
        ("{right}", "{all}", "tactic.choice.answer: unknown placeholder"),
        ("{subject}", "it", r"tactic.choice.question: no \{subject\}"),
        ("grounding =", "says =", "tactic.grounding: "),
        ("[tactic]", 'tactic = "x"\n[other]', "tactic: "),
    ],
)
def test_what_is_wrong_with_a_relation_is_said(folder: Path, old: str, new: str, said: str) -> None:
    (folder / "a.toml").write_text(RELATION.replace(old, new))
    with pytest.raises(InputError, match=rf"a\.toml: {said}"):
        read_relations("a.toml")


def test_one_of_several_sentences_is_drawn_and_filled() -> None:
    rng = random.Random(1)
    drawn = Counter(say(rng, ["a {x}", "b {x}"], x="{y}") for _ in range(100))
    assert set(drawn) == {"a {y}", "b {y}"}
    before = rng.getstate()
    assert say(rng, "one {x}", x="1") == "one 1"
    assert rng.getstate() == before  # one sentence costs no draw
    assert fill('{"json": 1, "of": {x}}', x="2") == '{"json": 1, "of": 2}'


def test_no_two_sentences_of_a_list_are_the_same() -> None:
    for path in sorted(wording.TEMPLATES.glob("*.toml")):
        for key, sentences in _lists(wording.read_templates(path.name)):
            assert len(set(sentences)) == len(sentences), f"{path.name}: {key}"


def _lists(words: object, at: str = "") -> list[tuple[str, list[str]]]:
    if isinstance(words, dict):
        return [one for key, part in words.items() for one in _lists(part, f"{at}.{key}")]
    return [(at, words)] if isinstance(words, list) else []

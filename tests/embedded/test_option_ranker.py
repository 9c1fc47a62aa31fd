"""Multiple choice: the option that fits, wherever it stands, and how sure that is."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from cybersecqwen.artifacts import save
from cybersecqwen.benchmark.tasks import read_items
from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.embedded.option_ranker import (
    FEATURES,
    RANKER,
    QuestionContext,
    answer_multiple_choice,
    contrast,
    is_negated,
    load_ranker,
)
from cybersecqwen.errors import InputError
from cybersecqwen.files import read_json

# Written for this test; no benchmark item.
QUESTIONS = [
    ("Which weakness does CAPEC-66 exploit?", ("CWE-89", "CWE-22", "CWE-352", "CWE-416")),
    ("Which group uses the malware SUNBURST?", ("APT29", "Lazarus Group", "FIN7", "Turla")),
    ("Who is also called Fancy Bear?", ("APT28", "APT1", "menuPass", "OilRig")),
    (
        "Which tactic does Kerberoasting serve?",
        ("Credential Access", "Impact", "Collection", "Reconnaissance"),
    ),
    (
        "How does an adversary keep access by the Windows registry?",
        ("Adding a program to a Run key", "Painting a wall", "Selling shares", "Renaming a cat"),
    ),
]


@pytest.fixture(scope="module")
def index() -> KnowledgeIndex:
    return KnowledgeIndex.load()


@pytest.mark.parametrize(("question", "options"), QUESTIONS)
def test_the_fitting_option_is_chosen_with_its_evidence(
    index: KnowledgeIndex, question: str, options: tuple[str, ...]
) -> None:
    answer = answer_multiple_choice(index, question, options)
    assert (answer.answer, answer.choice) == ("A", 0)
    assert answer.covered
    assert answer.evidence
    assert sum(answer.scores) == pytest.approx(1, abs=1e-3)
    assert answer.confidence == answer.scores[0] == max(answer.scores)


@pytest.mark.parametrize(("question", "options"), QUESTIONS[:2])
def test_moving_the_options_moves_the_answer(
    index: KnowledgeIndex, question: str, options: tuple[str, ...]
) -> None:
    first = answer_multiple_choice(index, question, options)
    for order in itertools.permutations(range(4)):
        moved = answer_multiple_choice(index, question, [options[i] for i in order])
        assert moved.choice is not None
        assert order[moved.choice] == first.choice
        assert moved.scores == pytest.approx([first.scores[i] for i in order], abs=1e-4)


def test_a_tie_is_broken_by_the_text(index: KnowledgeIndex) -> None:
    for options in (("xyzzya", "xyzzyb"), ("xyzzyb", "xyzzya")):
        answer = answer_multiple_choice(index, "What is plugh?", options)
        assert answer.choice is not None
        assert options[answer.choice] == "xyzzya"
        assert not answer.covered


def test_what_the_knowledge_does_not_hold_is_not_covered(index: KnowledgeIndex) -> None:
    answer = answer_multiple_choice(
        index,
        "Who has to be told of a personal data breach under the GDPR, and within how many hours?",
        ("The supervisory authority, 72", "The press, 24", "The police, 48", "Nobody"),
    )
    assert not answer.covered
    assert answer.answer in "ABCD"


def test_two_to_twenty_six_options(index: KnowledgeIndex) -> None:
    names = [f"CWE-{number}" for number in (89, *range(400, 425))]
    answer = answer_multiple_choice(index, "Which weakness does CAPEC-66 exploit?", names)
    assert answer.answer == "A"
    assert len(answer.scores) == 26
    last = answer_multiple_choice(index, "Which weakness does CAPEC-66 exploit?", names[::-1])
    assert last.answer == "Z"
    assert answer_multiple_choice(index, "CAPEC-66 exploits", names[:2]).answer == "A"
    for wrong in (names[:1], [*names, "CWE-22"], []):
        with pytest.raises(InputError, match="give 2 to 26"):
            answer_multiple_choice(index, "?", wrong)


@pytest.mark.parametrize("options", [("", ""), ("", "x"), ("None", "???"), ("a" * 20_000, "b")])
def test_odd_options_are_answered(index: KnowledgeIndex, options: tuple[str, str]) -> None:
    answer = answer_multiple_choice(index, "", options)
    assert answer.answer in "AB"
    assert np.isfinite(answer.scores).all()


def test_negation() -> None:
    assert is_negated("Which is NOT a mitigation?")
    assert is_negated("All hold except")
    assert not is_negated("What is noted here?")


def test_contrast_is_the_distance_to_the_best_other() -> None:
    features = np.array([[3.0, 1.0], [1.0, 1.0], [2.0, 0.0]])
    assert contrast(features).tolist() == [[1.0, 0.0], [-2.0, 0.0], [-1.0, -1.0]]


def test_features_are_named_and_finite(index: KnowledgeIndex) -> None:
    features = QuestionContext(index, QUESTIONS[0][0]).features(("CWE-89", "", "None of the above"))
    assert features.shape == (3, len(FEATURES))
    assert np.isfinite(features).all()
    column = dict(zip(FEATURES, features.T.tolist(), strict=True))
    assert column["entry words"][0] == pytest.approx(1)
    assert column["empty"] == [0.0, 1.0, 0.0]
    assert column["none of them"] == [0.0, 0.0, 1.0]


def test_weights_for_other_features_are_refused(tmp_path: Path) -> None:
    rows = read_json(RANKER)
    other = json.dumps(rows | {"features": rows["features"][1:]}).encode()
    save(tmp_path, "ranker.json", other, {})
    with pytest.raises(InputError, match="features are not those"):
        load_ranker(tmp_path / "ranker.json")


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    save(tmp_path, "ranker.json", RANKER.read_bytes(), {})
    (tmp_path / "ranker.json").write_bytes(RANKER.read_bytes().replace(b"1", b"2", 1))
    with pytest.raises(InputError, match=r"ranker\.json: damaged"):
        load_ranker(tmp_path / "ranker.json")


@pytest.mark.shared
def test_accuracy_on_a_sample_of_unseen_questions(index: KnowledgeIndex, shared: Path) -> None:
    """Of the even positions every tenth; all 1,250 of them are for the benchmark."""
    items = read_items(shared / "cti-bench", "cti-mcq")[::20]
    answers = [answer_multiple_choice(index, item.text, item.options) for item in items]
    right = sum(a.answer == item.gold for a, item in zip(answers, items, strict=True))
    assert right / len(items) > 0.68

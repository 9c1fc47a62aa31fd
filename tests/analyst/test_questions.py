"""ask(): free questions, choices, items of a file, and what is wrong with them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cybersecqwen.analyst.questions import (
    Conversation,
    Question,
    as_answer,
    ask,
    read_items,
    read_lines,
)
from cybersecqwen.errors import InputError

OPTIONS = ("Pre-compromise", "Execution Prevention", "Encrypt Sensitive Information")
QUESTION = "Which mitigation addresses the abuse of PowerShell (T1059.001)?"


@pytest.mark.parametrize(
    ("question", "entry", "word"),
    [
        ("What is CWE-79?", "CWE-79", "Cross-site Scripting"),
        ("Which tactic does T1059.001 serve?", "T1059.001", "Execution"),
        ("Who uses Cobalt Strike?", "S0154", "is used by"),
        ("What mitigates T1110?", "T1110", "Multi-factor"),
        ("PowerShell", "T1059.001", "PowerShell"),
        ("Which tactic does t1059/001 serve?", "T1059.001", "T1059.001 PowerShell"),
        ("What is https://attack.mitre.org/techniques/T1059/001/?", "T1059.001", "PowerShell"),
        ("What is capec\u201366?", "CAPEC-66", "SQL Injection"),
        ("What is \uff23\uff37\uff25\uff0d\uff17\uff19?", "CWE-79", "Cross-site Scripting"),
    ],
)
def test_a_free_question_is_answered_with_its_entry(question: str, entry: str, word: str) -> None:
    answer = ask(question)
    assert answer.covered
    assert word in answer.answer
    assert entry in {e.id for e in answer.evidence}
    assert all(e.url.startswith("https://") for e in answer.evidence)


@pytest.mark.parametrize(
    "question",
    [
        "What is the capital of France?",
        "How do I bake bread?",
        "Best football team 2020?",
        "What is a mango?",
        "What is the boiling point of mercury?",
        "What dose of ibuprofen may a child take?",
        "Is my landlord allowed to raise the rent?",
    ],
)
def test_what_the_knowledge_does_not_hold_is_not_covered(question: str) -> None:
    answer = ask(question)
    assert (answer.answer, answer.covered, answer.evidence) == ("not covered", False, ())


@pytest.mark.parametrize("wrong", ["T10599", "T1059.0011", "T1059.1", "CWE-79x", "T9998"])
def test_an_id_that_is_none_is_named_and_not_answered(
    wrong: str, caplog: pytest.LogCaptureFixture
) -> None:
    for options in ((), OPTIONS):
        answer = ask(f"Which tactic does PowerShell ({wrong}) serve?", options)
        assert (answer.answer[:11], answer.covered, answer.evidence) == ("not covered", False, ())
        assert options or wrong in answer.answer
        assert wrong in caplog.messages.pop()
    guess = ask(f"Which mitigation addresses PowerShell ({wrong})?", OPTIONS, guess=True)
    assert (guess.answer in "ABC", guess.covered) == (True, False)


def test_a_choice_follows_its_option_wherever_it_stands() -> None:
    for turn in range(len(OPTIONS)):
        options = OPTIONS[turn:] + OPTIONS[:turn]
        assert options["ABC".index(ask(QUESTION, options).answer)] == "Execution Prevention"


def test_an_uncovered_choice_is_made_only_as_a_guess() -> None:
    options = ("Paris", "Rome", "Oslo")
    refused = ask("What is the capital of France?", options)
    guessed = ask("What is the capital of France?", options, guess=True)
    assert (refused.answer, refused.choice, refused.covered) == ("not covered", None, False)
    assert guessed.answer in "ABC"
    assert not guessed.covered


def test_a_row_is_plain_json_with_as_much_evidence_as_asked_for() -> None:
    row = as_answer(Question("q", QUESTION, OPTIONS), ask(QUESTION, OPTIONS), top=1)
    assert json.loads(json.dumps(row)) == row
    assert set(row) == {"id", "answer", "confidence", "covered", "evidence"}
    assert len(row["evidence"]) == 1
    assert row["evidence"][0]["passage"] is None


@pytest.mark.parametrize("options", [("one",), tuple("abcdefghijklmnopqrstuvwxyz1")])
def test_too_few_or_too_many_options_are_refused(options: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="options"):
        ask(QUESTION, options)


def test_an_empty_question_is_refused() -> None:
    with pytest.raises(InputError, match="empty"):
        ask("  \n")


def test_a_megabyte_and_control_characters_are_answered() -> None:
    assert ask("What is CWE-79? \x00\x1b[31m\u200b" + "<b>x</b> " * 130_000).covered


HEADER = "URL\tQuestion\tOption A\tOption B\tOption C\tPrompt\tGT"


def _tsv(path: Path, url: str, gold: str, *more: str) -> Path:
    row = "\t".join((url, QUESTION, *OPTIONS, "unused", gold))
    path.write_text("\n".join((HEADER, row, *more)) + "\n")
    return path


def test_items_are_answered_from_question_and_options_alone(tmp_path: Path) -> None:
    errors: list[InputError] = []
    one = list(read_items(_tsv(tmp_path / "a.tsv", "https://x/1", "B"), errors.append))
    other = list(read_items(_tsv(tmp_path / "b.tsv", "", "C"), errors.append))
    assert one == other == [Question(0, QUESTION, OPTIONS)]
    assert not errors


def test_a_broken_row_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    errors: list[InputError] = []
    path = _tsv(tmp_path / "a.tsv", "u", "B", "too\tfew", "u\tWho?\tx\ty\t\tp\tA")
    found = list(read_items(path, errors.append))
    assert [q.id for q in found] == [0, 2]
    assert found[1].options == ("x", "y", "")
    assert [str(e.where) for e in errors] == [f"{path}:3"]


def test_another_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\nx,y\n")
    with pytest.raises(InputError, match=r"a\.csv:1: the header is 'text', 'label'"):
        list(read_items(path, lambda _: None))


def test_csv_and_jsonl_items_are_read(tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_text('Question,Option A,Option B\n"Who, then?",x,y\n')
    assert list(read_items(table, print)) == [Question(0, "Who, then?", ("x", "y"))]
    lines = tmp_path / "a.jsonl"
    lines.write_text('{"id": "q", "question": "Who?", "options": ["x", "y"]}\n')
    assert list(read_items(lines, print)) == [Question("q", "Who?", ("x", "y"))]


def test_bad_lines_of_a_pipe_are_named() -> None:
    errors: list[InputError] = []
    lines = [b"What is CWE-79?\n", b"\n", b'{"question": 1}\n', b"\xff\n", b'{"question": "Who?"\n']
    assert [q.text for q in read_lines(lines, "stdin", errors.append)] == ["What is CWE-79?"]
    assert [str(e.where) for e in errors] == ["stdin:3", "stdin:4", "stdin:5"]


@pytest.mark.parametrize("row", ['{"question": "x", "a": ' + "[" * 200_000, '{"a": ' + "1" * 5000])
def test_a_line_that_no_json_reader_stands_is_named(row: str) -> None:
    errors: list[InputError] = []
    lines = [row.encode() + b"}\n", b"What is CWE-79?\n"]
    assert [q.id for q in read_lines(lines, "stdin", errors.append)] == [1]
    assert [str(e.where) for e in errors] == ["stdin:1"]


def test_a_header_that_leaves_a_letter_out_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("Question\tOption A\tOption C\nWho?\tx\ty\n")
    with pytest.raises(InputError, match="expected are the columns"):
        list(read_items(path, lambda _: None))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", 'Question,Option A,Option B\n"Who?,x,y\nWhat?,x,y\n', "not valid CSV"),
        ("a.tsv", "Question\tOption A\tOption B\n", "holds no question"),
        ("a.jsonl", "\n", "holds no question"),
    ],
)
def test_a_file_without_a_usable_row_is_an_error(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        list(read_items(path, lambda _: None))


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ("Which software does Fancy Bear use?", "G0007 APT28 uses S"),
        ("<b>Who</b> is <i>Cozy&#32;Bear</i>?", "It is also known as IRON RITUAL"),
    ],
)
def test_an_alias_and_markup_are_understood(question: str, says: str) -> None:
    assert says in ask(question).answer


def test_scores_are_shares_and_evidence_names_the_mitigation() -> None:
    free, choice = ask("What mitigates T1059.001?"), ask(QUESTION, OPTIONS)
    assert all(0 < e.score <= 1 for answer in (free, choice) for e in answer.evidence)
    rows = [as_answer(Question(0, ""), answer, top=5)["evidence"] for answer in (free, choice)]
    others = [e["other"] for row in rows for e in row if e["other"]]
    assert any(other["id"].startswith("M") and "/mitigations/M" in other["url"] for other in others)


def test_what_is_not_covered_has_no_confidence_and_a_guess_no_evidence() -> None:
    options = ("Paris", "Rome", "Oslo")
    assert ask("What is the capital of France?").confidence == 0
    assert ask("What is the capital of France?", options).confidence == 0
    assert ask("What is the capital of France?", options, guess=True).evidence == ()


def test_a_conversation_points_back_to_a_cve() -> None:
    talk = Conversation()
    assert talk.ask("Is BlueKeep in KEV?").answer.startswith("Yes, CVE-2019-0708 (BlueKeep)")
    assert "due date of CVE-2019-0708 (BlueKeep)" in talk.ask("and its KEV due date?").answer
    assert talk.ask("write me an exploit for it").covered is False


def test_a_verb_of_a_question_that_points_back_is_no_name() -> None:
    talk = Conversation()
    assert talk.ask("Which mitigations does T1059.001 have?").covered
    answer = talk.ask("and which tactic does it serve?").answer
    assert answer == "T1059.001 PowerShell serves the tactic TA0002 Execution."


@pytest.mark.parametrize(
    ("questions", "says"),
    [
        (("Which groups use PlugX?", "and ShadowPad?"), "S0596 ShadowPad is used by G"),
        (
            ("Which groups use PsExec?", "which of them are Iranian?"),
            "Of the groups linked to Iran, S",
        ),
        (("Which groups use PsExec?", "how many are there?"), "There are 38 groups."),
        (("Which groups use PsExec?", "how many tactics are in ICS?"), "ATT&CK (as of "),
        (("Which groups use PsExec?", "which of those use Tor?"), "S0029 PsExec and "),
        (
            ("how do I detect T1547.001?", "what about T1547.009?"),
            "T1547.009 Shortcut Modification is",
        ),
        (("compare FIN6 and FIN8", "which of them uses PsExec?"), "G0037 FIN6 uses S0029 PsExec."),
        (("Is BlueKeep in KEV?", "and CitrixBleed?"), "Yes, CVE-2023-4966 (CitrixBleed) is in"),
        (("Is BlueKeep in KEV?", "due date?"), "The due date of CVE-2019-0708 (BlueKeep)"),
        (
            ("what is T1110?", "which mitigations does it have?", "and T1078?"),
            "T1078 Valid Accounts is mitigated by M",
        ),
        (
            ("which mitigation covers the most techniques?", "which technique has no mitigation?"),
            "ATT&CK records no mitigation for ",
        ),
    ],
)
def test_a_follow_up_asks_the_same_of_another_or_of_those(
    questions: tuple[str, ...], says: str
) -> None:
    talk = Conversation()
    *_, last = [talk.ask(question) for question in questions]
    assert last.answer.startswith(says)


def test_a_conversation_keeps_the_latest_subject_alone() -> None:
    talk = Conversation()
    assert talk.ask("who is Sandworm?").covered
    assert talk.ask("Is BlueKeep in KEV?").covered
    assert "CVE-2019-0708" in talk.ask("and the KEV due date?").answer
    assert "CVE-2019-0708" in talk.ask("is that vulnerability used in ransomware?").answer
    assert talk.ask("write me an exploit").covered is False  # is about nothing
    assert "CVE-2019-0708" in talk.ask("is it exploited?").answer
    assert talk.ask("what about Sandworm?").answer.startswith("G0034 Sandworm Team")
    assert talk.ask("its campaigns?").answer.startswith("G0034 Sandworm Team")
    assert talk.ask("and Log4Shell, is it in KEV?").answer.startswith("Yes, CVE-2021-44228")

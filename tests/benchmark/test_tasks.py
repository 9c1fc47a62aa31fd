"""Every task scores its own gold as perfect; each extractor rule and trap by example."""

from __future__ import annotations

from pathlib import Path

import pytest

from cybersecqwen.benchmark.protocol import PROTOCOLS
from cybersecqwen.benchmark.score import score
from cybersecqwen.benchmark.tasks import (
    TASKS,
    cti_ate,
    cti_mcq,
    cti_rcm,
    cti_vsp,
    find_task,
    open_task,
    read_items,
)
from cybersecqwen.benchmark.tasks.cti_taa import faith_actor
from cybersecqwen.benchmark.tasks.multiple_choice import cascade, unique_answer
from cybersecqwen.benchmark.tasks.task import Extraction
from cybersecqwen.errors import CyberSecQwenError, InputError
from cybersecqwen.records import Item, Response

VECTOR = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"  # 9.8
LOCAL = "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:N/I:N/A:H"  # 5.5
NONE = Extraction(None, proper=False)


@pytest.mark.parametrize("name", sorted(TASKS))
def test_every_fitting_extractor_reads_the_gold_and_nothing_in_the_empty_text(
    name: str, six_tasks: Path
) -> None:
    task = open_task(name, six_tasks)
    assert task.name == name
    assert task.extractors
    for extractor in task.extractors.values():
        assert extractor.read("").answer is None
        for prompt in set(extractor.fits) - {"base", "faith-base"}:
            for item in read_items(six_tasks, name):
                text = task.answered(item.gold, prompt)
                for response in (text, f"Some reasoning.\n\n{text}"):
                    reading = extractor.read(response)
                    if "\n" not in response or name != "cti-taa":
                        assert reading.answer is not None
                        assert task.mark(item, reading.answer)["correct"] == 1


@pytest.mark.parametrize("protocol", sorted(PROTOCOLS))
@pytest.mark.parametrize("name", sorted(TASKS))
def test_the_gold_is_perfect_under_every_protocol(
    name: str, protocol: str, six_tasks: Path
) -> None:
    _gold_is_perfect(name, protocol, six_tasks)


@pytest.mark.shared
@pytest.mark.parametrize("protocol", ["model-card", "paper", "faith", "cti-bench"])
@pytest.mark.parametrize("name", sorted(TASKS))
def test_the_real_gold_is_perfect_under_every_protocol(
    name: str, protocol: str, shared: Path
) -> None:
    _gold_is_perfect(name, protocol, shared / "cti-bench")


def _gold_is_perfect(name: str, protocol: str, folder: Path) -> None:
    task, items, found = open_task(name, folder), read_items(folder, name), PROTOCOLS[protocol]
    responses = {
        trial: [Response(i.index, trial, task.answered(i.gold, found.prompt)) for i in items]
        for trial in range(len(found.seeds))
    }
    scored = score(task, found, items, responses)
    assert scored.marks["correct"].sum() == scored.marks["asked"].sum() > 0
    for metric in scored.metrics.keys() - {"improper_rate"}:
        about = scored.metrics[metric]
        numerator, denominator = scored.ratio(metric)
        best = 1 if about.better == "higher" else 0
        assert numerator.sum() == pytest.approx(best * denominator.sum()), metric


def test_an_unknown_task_is_named() -> None:
    with pytest.raises(CyberSecQwenError, match=r"'cti-rmc'.*known are cti-mcq"):
        find_task("cti-rmc")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("CWE-79", "CWE-79"),
        ("It may be CWE-20, but the root cause is\nCWE-79", "CWE-79"),
        ("CWE-79 (not CWE-89)", "CWE-89"),  # the last one counts, whatever it says
        ("**cwe-502**", "CWE-502"),
        ("CWE-079", "CWE-79"),
        ("CWE-" + "9" * 5000, "CWE-" + "9" * 5000),  # a loop that never ended
        ("CWE\u201179", None),
        ("CWE 79", None),
        ("79", None),
        ("This is XSS.", None),
    ],
)
def test_the_last_cwe_counts(text: str, answer: str | None) -> None:
    assert cti_rcm.last_cwe(text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("CWE-20, no, CWE-79", "CWE-79"),
        ("It is cwe-79.", None),  # the notebook's pattern knows upper case only
        ("cwe-79", "CWE-79"),  # but it takes a whole text that is an id as it is
        ("CWE-079", "CWE-079"),
        ("no id", None),
    ],
)
def test_the_notebook_takes_the_last_upper_case_cwe(text: str, answer: str | None) -> None:
    assert cti_rcm.last_upper_cwe(text) == answer


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("The flaw is cwe-79.\nCWE-79", Extraction("CWE-79")),
        ("CWE\u201179", Extraction("CWE-79")),
        ("Not CWE-20 but CWE-79", NONE),  # two ids are no answer
        ("id: 79", Extraction("CWE-79", proper=False)),
        ("CWE: 79", Extraction("CWE-79", proper=False)),
        ("CWE-20 or CWE-79; id: 79", Extraction("CWE-79", proper=False)),
        ("grid: 79", NONE),
        ("79", NONE),
    ],
)
def test_faith_wants_one_cwe(text: str, reading: Extraction) -> None:
    assert cti_rcm.unique_cwe(text) == reading


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Answer: B", "B"),
        ("**Answer:** B) Execution Prevention", "B"),
        ("**Answer: C**\n\nD", "C"),  # a first `answer: X` goes before a last line
        ("answer : (D)", "D"),
        ("answer: b", "B"),
        ("**Answer: (b).**\nBecause.", "B"),
        ("Answer: a kind of phishing", None),
        ("The answer is A.", "A"),
        ("The correct answer is: **B**", "B"),
        ("The answer is a kind of phishing.\nC", "C"),  # `a` is an article
        ("C\n\nBecause of that, the letter follows.\n\nb", "B"),
        ("Reasons.\n\n(D)", "D"),
        ("Reasons.\n\n**A**", "A"),
        ("I would pick option C here, as it fits.", "C"),
        ("Option A is wrong, so it must be:\nB", "B"),
        ("Answer: A\nAnswer: B", "A"),  # the first counts
        ("Both B and C are plausible.", None),
        ("Answer: Denial of service", None),
        ("E", None),
    ],
)
def test_the_cascade_takes_the_first_rule_that_finds_a_letter(
    text: str, answer: str | None
) -> None:
    assert cascade("ABCD")(text).answer == answer


def test_only_the_first_rule_of_the_cascade_is_the_form_that_was_asked_for() -> None:
    read = TASKS["cti-mcq"].extractors["cascade"].read
    assert read("Answer: B") == Extraction("B")
    assert read("The answer is B") == Extraction("B", proper=False)
    assert read("B") == Extraction("B", proper=False)


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("Answer: B", Extraction("B")),
        ("answer: b", Extraction("B")),
        ("Answer: (C)", Extraction("C")),
        ("Answer: B. Once more, answer: B", Extraction("B")),
        ("Answer: A\nAnswer: B", NONE),  # not unique, and no other form stands in
        ("Answer: **B**", NONE),
        ("Answer: Because", NONE),
        ("The answer is B.", Extraction("B", proper=False)),
        ("The answer is: (B)", Extraction("B", proper=False)),
        ("I take (B).", Extraction("B", proper=False)),
        ("(A) and (A)", NONE),  # in brackets it may stand once only
        ("It is option D.", Extraction("D", proper=False)),
        ("option A or option D", NONE),
        ("**C**", Extraction("C", proper=False)),
        ("Reasons.\n\nC", NONE),  # a lone letter is a whole output that is one
        ("Answer: A\nAnswer: B\nThe answer is C", Extraction("C", proper=False)),
    ],
)
def test_faith_wants_one_answer_in_its_form(text: str, reading: Extraction) -> None:
    assert unique_answer("ABCD")(text) == reading


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Reasons.\nB) Execution Prevention", "B"),
        ("Reasons.\nThe best option is C", "C"),
        ("Reasons.\n**B**", "B"),
        ("Reasons.\n**Option**", None),  # three from the end stands an o
        ("B\n", "B"),  # an empty last line sends to the one before
        ("B\n\n", None),  # to one line only
        ("b", "B"),
        ("Asked of the CIA", "A"),  # the trap of a last line that ends in a letter
        ("B\nBecause it fits.", None),
        ("X", "X"),  # a refusal in the authors' sheets: counted, and never right
    ],
)
def test_the_notebook_reads_the_last_line(text: str, answer: str | None) -> None:
    assert cti_mcq.last_line(text) == answer


def test_a_twice_given_answer_depends_on_the_line() -> None:
    text = "A\n\nExecution prevention stops it.\n\nB"
    assert (cti_mcq.first_letter(text), cti_mcq.last_letter(text)) == ("A", "B")
    assert (cascade("ABCD")(text).answer, cti_mcq.last_line(text)) == ("B", "B")
    assert cti_mcq.first_letter("Neither A nor B") is None


BARE = VECTOR.removeprefix("CVSS:3.1/")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (VECTOR, BARE),
        (f"First {LOCAL}, but then\n**{VECTOR}**.", BARE),
        (VECTOR.lower(), BARE),
        (VECTOR.replace("3.1", "3.0"), BARE),
        (BARE, BARE),
        (f"{VECTOR}/E:P/RL:O", BARE),  # what is no base metric is left out
        ("AC:L/AV:N/PR:N/UI:N/S:U/C:H/I:H/A:H", BARE),  # in any order
        (f"{VECTOR}\nIn CVSS 2: AV:N/AC:L/Au:N/C:P/I:P/A:P", BARE),  # the last valid one
        (BARE.replace("A:H", "A:X"), None),
        (BARE.removesuffix("/A:H"), None),
        ("9.8", None),
    ],
)
def test_the_last_valid_vector_counts(text: str, answer: str | None) -> None:
    assert cti_vsp.last_vector(text) == answer


def test_the_notebook_and_faith_read_vectors_their_own_way() -> None:
    assert cti_vsp.notebook_vector(f"{VECTOR}\n{BARE.replace('A:H', 'A:X')}") is None
    assert cti_vsp.notebook_vector(BARE.lower()) == BARE
    assert cti_vsp.notebook_vector(f"so {BARE.lower()}") is None
    assert cti_vsp.unique_vector(f"{VECTOR} and again {VECTOR.lower()}") == Extraction(BARE)
    assert cti_vsp.unique_vector(f"{VECTOR} or {LOCAL}") == NONE
    assert cti_vsp.unique_vector(f"/{BARE}") == Extraction(BARE, proper=False)


def test_a_vector_is_marked_by_the_distance_of_its_base_score() -> None:
    item = Item("cti-vsp", 0, "", VECTOR)
    marks = cti_vsp.mark(item, LOCAL)
    assert marks["deviation"] == pytest.approx(9.8 - 5.5)
    assert (marks["correct"], marks["agreed"]) == (0, 4 / 8)  # AC, UI, S and A agree
    assert (marks["A"], marks["AV"]) == (1, 0)


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("T1071, T1059", Extraction("T1059, T1071")),
        ("T1027 hides.\nT1071.001, T1071, t1059", Extraction("T1059, T1071")),
        ("T1027\nThat is all.", Extraction("T1027", proper=False)),
        ("TA0001, S0066, T12345", NONE),
    ],
)
def test_techniques_are_read_from_the_last_line(text: str, reading: Extraction) -> None:
    assert cti_ate.last_line(text) == reading


def test_faith_wants_its_techniques_after_answer() -> None:
    assert cti_ate.unique_answer("Answer: T1071, T1059") == Extraction("T1059, T1071")
    assert cti_ate.unique_answer("T1071, T1059") == NONE
    assert cti_ate.unique_answer("Answer: T1071\nAnswer: T1059") == NONE


def test_techniques_are_counted_as_sets() -> None:
    marks = cti_ate.mark(Item("cti-ate", 0, "", "T1059, T1071, T1027"), "T1059, T1100")
    assert (marks["tp"], marks["fp"], marks["fn"], marks["correct"]) == (1, 1, 2, 0)


@pytest.mark.parametrize(
    ("text", "answer", "correct", "plausible"),
    [
        ("APT28", "apt28", 1, 1),
        ("APT-28", "apt28", 1, 1),
        ("Fancy Bear", "fancy bear", 1, 1),
        ("tsar team", "tsar team", 1, 1),  # an alias of an alias
        ("APT29 \n", "apt29", 0, 1),
        ("Kimsuky", "kimsuky", 0, 0),
        ("Threat Actor: **Fancy Bear**\nIts tools are known.", "fancy bear", 1, 1),
        ("I attribute it to **Sofacy (APT 28)**, not to APT29, for its lures.", "sofacy", 1, 1),
        ("After a long look at the tools it seems that Kimsuky did it.", "kimsuky", 0, 0),
        ("Unknown Group 7", "unknown group 7", 0, 0),
        ("The report does not name anybody that I would know of, so I will not say.", None, 0, 0),
    ],
)
def test_actors_are_judged_by_aliases_and_related_groups(
    text: str, answer: str | None, correct: int, plausible: int, six_tasks: Path
) -> None:
    task, item = open_task("cti-taa", six_tasks), read_items(six_tasks, "cti-taa")[0]
    found = task.extractors["named-actor"].read(text).answer
    assert found == answer
    if found is not None:
        marks = task.mark(item, found)
        assert (marks["correct"], marks["plausible"]) == (correct, plausible)


def test_the_authors_nan_joins_groups_and_is_told(six_tasks: Path) -> None:
    task, items = open_task("cti-taa", six_tasks), read_items(six_tasks, "cti-taa")
    marks = task.mark(items[1], "turla")
    assert (marks["correct"], marks["plausible"], marks["plausible_without_nan"]) == (0, 1, 0)


def test_faith_wants_its_actor_after_its_words() -> None:
    assert faith_actor("So.\nThreat Actor: Fancy Bear.") == Extraction("fancy bear")
    assert faith_actor("Fancy Bear") == NONE


def test_actors_cannot_be_judged_without_the_graphs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"threat-actors\.json.*cannot be judged"):
        open_task("cti-taa", tmp_path)
    (tmp_path / "threat-actors.json").write_text('{"aliases": {"a": "b"}}')
    with pytest.raises(InputError, match="not the graphs"):
        open_task("cti-taa", tmp_path)


@pytest.mark.shared
def test_gpt_4_is_as_published_by_hand_made_cases(shared: Path) -> None:
    task = open_task("cti-taa", shared / "cti-bench")
    golds = {item.gold.strip(): item for item in read_items(shared / "cti-bench", "cti-taa")}
    for gold, answer, expected in (
        ("UNC2452", "APT29", (1, 1)),
        ("SideCopy", "APT36", (0, 1)),
        ("OilRig", "APT34", (1, 1)),
        ("Dragonfly", "Energetic Bear", (1, 1)),
        ("MUSTANG PANDA", "APT41", (0, 1)),
        ("Sharp Panda", "Conti", (0, 0)),
    ):
        marks = task.mark(golds[gold], answer)
        assert (marks["correct"], marks["plausible"]) == expected, (gold, answer)

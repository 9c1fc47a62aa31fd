"""Questions about two entries: whether, which one, what both have, how they differ."""

from __future__ import annotations

import pytest

from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.embedded.question_answering import answer_question, reply


@pytest.fixture(scope="module")
def index() -> KnowledgeIndex:
    return KnowledgeIndex.load()


@pytest.mark.parametrize(
    ("question", "begins"),
    [
        ("Is T1110.001 part of T1110?", "Yes: T1110.001 Password Guessing is a sub-technique of"),
        ("Is T1110 a sub-technique of T1110.001?", "No, the other way round: T1110.001 Pass"),
        ("Does APT28 use Ryuk?", "No: there is no record that G0007 APT28 uses S0446 Ryuk."),
        ("Doesn't APT28 use Ryuk?", "There is no record that G0007 APT28 uses S0446 Ryuk."),
        ("Does APT29 not use Mimikatz?", "G0016 APT29 uses S0002 Mimikatz."),
        ("Does APT29 no longer use Mimikatz?", "G0016 APT29 uses S0002 Mimikatz."),
        ("Do APT28 and APT29 not both use Mimikatz?", "G0007 APT28 uses S0002 Mimikatz. G0016"),
        ("Is CWE-79 not a child of CWE-74?", "CWE-79 Improper Neutralization"),
        ("Has wizard spider used conti", "Yes: G0102 Wizard Spider uses S0575 Conti."),
        ("does M1032 mitigate T1110.003", "Yes: M1032 Multi-factor Authentication mitigates"),
        ("does mimikatz run on linux", "No: S0002 Mimikatz runs on Windows, not Linux."),
        ("Does Emotet work on Windows?", "Yes: S0367 Emotet runs on Windows."),
        ("is kerberoasting credential access?", "Yes: T1558.003 Kerberoasting serves Credential"),
        ("Is Fancy Bear the same as APT28?", "Yes: Fancy Bear and APT28 are both G0007 APT28."),
        ("Which tools do APT28 and APT29 both use?", "G0007 APT28 and G0016 APT29 have "),
        (
            "What mitigations do T1003 and T1055 share?",
            "T1003 OS Credential Dumping and T1055 Process Injection have 2 mitigations in ",
        ),
        ("Does APT28 do lateral movement?", "Yes: for Lateral Movement, G0007 APT28 uses T"),
        ("CWE-78 or CWE-89: the input ends up in a database query", "CWE-89 "),
        ("Difference between T1566.001 and T1566.002?", "T1566.001 Spearphishing Attachment"),
        ("is CWE-787 a kind of CWE-119", "Yes: CWE-787 Out-of-bounds Write is a kind of CWE-119"),
        ("Is CWE-22 better than CWE-20 for ../ in file names?", "Yes: CWE-22 Improper Limitation"),
        (
            "which CWE fits better than CWE-20 for command injection",
            "CWE-77 Improper Neutralization",
        ),
        ("Is T1055 used by FIN7 and Turla?", "No, not both. G0010 Turla uses T1055 Process Inj"),
        (
            "Which of Mimikatz, PsExec and Empire has Turla used?",
            "G0010 Turla uses S0002 Mimikatz.",
        ),
        ("which groups except FIN7 use T1497.002?", "T1497.002 User Activity Based Checks is used"),
        ("Which techniques do FIN6 and FIN8 share for execution?", "For Execution, G0037 FIN6 and"),
    ],
)
def test_two_entries_are_compared(index: KnowledgeIndex, question: str, begins: str) -> None:
    answer = answer_question(index, question)
    assert answer.answer.startswith(begins)
    assert answer.covered


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ("what does emotet do for persistence", "For Persistence, S0367 Emotet uses T1"),
        (
            "which Vietnamese groups use regsvr32",
            "Of the groups linked to Vietnam, T1218.010 Regsvr32",
        ),
        ("which software of Turla runs on macOS", "On macOS, G0010 Turla uses S"),
        ("what software do Pakistani groups use", "ATT&CK has 10 pieces of software used by group"),
        ("what ransomware does APT1 use", "No ransomware is on record for G0006 APT1."),
        ("which groups use GitHub for command and control", "T1102"),
        ("how does fin7 exfiltrate", "For Exfiltration, G0046 FIN7 uses T1"),
        ("Which ransomware does Indrik Spider use?", "uses the ransomware S"),
        ("techniques for ESXi", "T1675 ESXi Administration Command"),
        ("May I use CWE-20 for mapping?", "No: mapping a CVE to CWE-20"),
        ("mapping usage of CWE-264", "is a category"),
        ("who is hidden cobra", "G0032 Lazarus Group"),
        ("techniques of Purple Ostrich", "not covered: nothing that is known here is called"),
        ("tell me about the panda", "Which one do you mean"),
        ("how to be secure?", "Please say more"),
        ("Wie backe ich ein Brot?", "not covered: the question is in German"),
        ("code a worm", "I decline"),
        ("Is there a platform of T0816?", "not covered"),
    ],
)
def test_one_entry_or_none_is_spoken_of(index: KnowledgeIndex, question: str, says: str) -> None:
    answer = answer_question(index, question).answer
    assert says in answer
    assert says.startswith(("T1675", "is a", "uses the")) or answer.startswith(says)


def test_what_leads_through_techniques_keeps_to_the_tactic(index: KnowledgeIndex) -> None:
    of_all = answer_question(index, "Which mitigations help against FIN7?").answer
    of_one = answer_question(index, "What mitigates FIN7's exfiltration techniques?").answer
    assert of_one.startswith("For Exfiltration, G0046 FIN7 uses techniques that are mitigated by M")
    assert len(of_one) < len(of_all)


def test_asked_which_group_only_groups_are_named(index: KnowledgeIndex) -> None:
    assert " S0330 Zeus Panda" in answer_question(index, "tell me about the panda").answer
    assert " S0" not in answer_question(index, "tell me about the panda group").answer


def test_a_pronoun_beside_a_name_is_what_came_before(index: KnowledgeIndex) -> None:
    first = reply(index, "who is FIN7?")
    then = reply(index, "do they use Mimikatz?", before=first.about)
    assert then.answer.answer == "Yes: G0046 FIN7 uses S0002 Mimikatz."
    two = reply(index, "compare FIN7 and FIN8")
    more = reply(index, "which has more techniques?", before=two.about)
    assert more.answer.answer.startswith("G0046 FIN7 uses more techniques: 67, against ")


def test_the_next_question_may_point_back(index: KnowledgeIndex) -> None:
    first = reply(index, "What is T1110.003?")
    then = reply(index, "and its mitigations?", before=first.about)
    assert then.answer.answer.startswith("T1110.003 Password Spraying is mitigated by M1027")
    assert then.about == first.about
    assert not reply(index, "and its mitigations?").answer.covered


def test_a_tactic_does_not_take_the_place_of_what_a_question_points_back_to(
    index: KnowledgeIndex,
) -> None:
    first = reply(index, "NOBELIUM which group")
    then = reply(index, "and how does it get initial access?", before=first.about)
    assert then.answer.answer.startswith("For Initial Access, G0016 APT29 uses T1")
    assert then.about == first.about

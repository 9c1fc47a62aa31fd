"""Questions of yes or no about one entry: what it is, where it runs, where it is from."""

from __future__ import annotations

import pytest

from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.embedded.question_answering import answer_question


@pytest.fixture(scope="module")
def index() -> KnowledgeIndex:
    return KnowledgeIndex.load()


@pytest.mark.parametrize(
    ("question", "begins"),
    [
        ("Is T1110 a weakness?", "No: T1110 Brute Force is a technique in ATT&CK, not a weakness."),
        (
            "is CWE-352 a technique",
            "No: CWE-352 Cross-Site Request Forgery (CSRF) is a weakness in",
        ),
        ("Is Carbanak a group or malware?", "G0008 Carbanak is a group in ATT&CK."),
        ("is T1110.003 a sub-technique?", "Yes: T1110.003 Password Spraying is a sub-technique"),
        ("Would you say that TrickBot is a threat actor?", "No: S0266 TrickBot is malware in"),
        ("Is Ryuk also called Wizard Spider?", "No: S0446 Ryuk and G0102 Wizard Spider are two"),
        ("Does CWE-416 occur in Java?", "No: CWE-416 Use After Free occurs in C and C++, not Java"),
        (
            "Does CWE-416 only occur in C?",
            "No: CWE-416 Use After Free occurs in C and C++, not only",
        ),
        (
            "can CWE-434 happen in PHP code",
            "Yes: CWE-434 Unrestricted Upload of File with Dangerous",
        ),
        (
            "Does T1112 exist in the ICS matrix?",
            "No: T1112 Modify Registry is in the matrix for Ent",
        ),
        ("Does CWE-674 harm integrity?", "No: CWE-674 Uncontrolled Recursion affects Availability"),
        ("Does CWE-400 affect availability?", "Yes: CWE-400 Uncontrolled Resource Consumption aff"),
        ("does CWE-89 result in denial of service", "No: CWE-89 Improper Neutralization of Spec"),
        ("is availability affected by CWE-674?", "Yes: CWE-674 Uncontrolled Recursion affects"),
        ("is integrity affected by CWE-674?", "No: CWE-674 Uncontrolled Recursion affects Ava"),
        ("Can CWE-416 give an attacker code execution?", "Yes: CWE-416 Use After Free has the imp"),
        ("can CWE-476 be caught by static analysis", "Yes: CWE-476 NULL Pointer Dereference is"),
        ("can CWE-787 be caught by fuzzing", "No record of that: CWE-787 Out-of-bounds Write is"),
        ("Is CWE-601 found by formal verification?", "No record of that: CWE-601 URL"),
        ("is CWE-1188 discovered by code review?", "CWE records no detection method for CWE-1188"),
        ("can CWE-193 lead to another weakness?", "Yes: CWE-193 Off-by-one Error can precede CWE"),
        ("Does CWE-1321 occur in some other language?", "CWE-1321 Improperly Controlled Modif"),
        ("Is APT28 Russian or Chinese?", "G0007 APT28 is linked to Russia."),
        ("Is APT28 Russian and Chinese?", "No: G0007 APT28 is linked to Russia."),
        ("Is APT29 not Russian?", "G0016 APT29 is linked to Russia."),
        ("Is T1112 not only for Windows?", "T1112 Modify Registry runs on Windows."),
        (
            "Does T1112 run on Windows and Linux?",
            "No: T1112 Modify Registry runs on Windows, not Li",
        ),
        ("Are T1059 and T1003 tactics?", "No: T1059 Command and Scripting Interpreter is a tech"),
        ("Are T1059 and T1003 techniques?", "Yes: T1059 Command and Scripting Interpreter is a"),
        ("is Ryuk a ransomware?", "Yes: S0446 Ryuk is ransomware, listed as malware in ATT&CK."),
        ("is Mimikatz a ransomware?", "S0002 Mimikatz is a tool in ATT&CK; its definition here d"),
        ("Is Mimikatz not malware?", "S0002 Mimikatz is a tool in ATT&CK, not malware."),
        ("Is T1059 not a technique?", "T1059 Command and Scripting Interpreter is a technique"),
        ("Is APT32 Chinese?", "No: G0050 APT32 is linked to Vietnam."),
        (
            "are APT38 and Andariel from North Korea",
            "Yes: G0082 APT38 is linked to North Korea. G0138",
        ),
        ("Is Vanguard Panda in ATT&CK?", "Yes: Vanguard Panda is G1017 Volt Typhoon in ATT&CK."),
        (
            "Is Network Segmentation against lateral movement?",
            "Yes: for Lateral Movement, M1030 Net",
        ),
    ],
)
def test_a_premise_is_confirmed_or_put_right(
    index: KnowledgeIndex, question: str, begins: str
) -> None:
    answer = answer_question(index, question)
    assert answer.covered
    assert answer.answer.startswith(begins)


def test_whom_a_group_attacks_is_not_where_it_is_from(index: KnowledgeIndex) -> None:
    assert not answer_question(index, "Is APT28 attacking Chinese companies?").covered

"""Free questions: facts where they are asked for, the closest entry, or not covered."""

from __future__ import annotations

import pytest

from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.embedded.question import understand
from cybersecqwen.embedded.question_answering import NOT_COVERED, answer_question
from cybersecqwen.embedded_build.glossary import Gloss
from cybersecqwen.embedded_build.indexing import pack
from cybersecqwen.records import Entry, Fact, Knowledge, Passage


@pytest.fixture(scope="module")
def index() -> KnowledgeIndex:
    return KnowledgeIndex.load()


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ("What mitigates T1059?", "T1059 Command and Scripting Interpreter is mitigated by M1021"),
        ("What does M1038 mitigate?", "M1038 Execution Prevention mitigates T"),
        ("Which techniques does APT29 use?", "G0016 APT29 uses T"),
        ("Which groups use T1003.001?", "T1003.001 LSASS Memory is used by G"),
        ("Which software does Lazarus Group use?", "G0032 Lazarus Group uses S"),
        ("Does APT29 use PowerShell?", "G0016 APT29 uses T1059.001 PowerShell."),
        ("What tactic does T1558.003 belong to?", "serves the tactic TA0006 Credential Access."),
        ("How can I detect T1003.001?", "It is detected with data on DC0013 "),
        ("Which CWE does CAPEC-66 relate to?", "CAPEC-66 SQL Injection exploits CWE-89"),
        ("Which attack patterns exploit CWE-89?", "is exploited by CAPEC-7"),
        ("In which phase is CWE-89 introduced?", "is introduced in the phase Implementation."),
        ("What are the consequences of CWE-787?", "has the impacts DoS: Crash, Exit, or Restart"),
        ("sub-techniques of T1003", "T1003 OS Credential Dumping consists of T1003.001 LSASS"),
        ("Other names of APT28?", "G0007 APT28 is also known as "),
        ("What is CWE-502?", "CWE-502 Deserialization of Untrusted Data: "),
        ("T1086", "T1059.001 PowerShell: "),
        ("what is mimikatz", "S0002 Mimikatz: "),
        ("what is mimikatz", "ATT&CK lists it as a tool. It runs on Windows. It uses 17 tech"),
        ("What is T1110.003?", "It is a sub-technique of T1110 Brute Force. "),
        ("What is T1558.003?", "Its former id is T1208. "),
        ("What is T1558.003?", "It is used by 3 campaigns, 3 groups and 6 pieces of software. "),
        ("Which event ids show DCSync?", "T1003.006 DCSync leaves events with the ids "),
        ("Which tactics is T1078 in?", "serves the tactics TA0001 Initial Access, TA0003"),
        ("How severe is CAPEC-63?", " is rated Very High in severity"),
        ("What is the name of T1071?", "T1071 is Application Layer Protocol. "),
        ("What does T1208 stand for?", "T1208 is T1558.003 Kerberoasting. "),
        ("capabilities of S0119 in ATT&CK terms?", "S0119 Cachedump uses T1003.005"),
        ("Other names of G0016?", "G0016 APT29 is also known as "),
        ("What groups are from Iran or Vietnam?", "groups linked to Iran or Vietnam: G"),
        ("Chinese groups with ransomware", "1 group linked to China that uses ransomware: G"),
        ("How many Iranian ransomware gangs are there?",
         "3 groups linked to Iran that use ransomware: G0117 Fox Kitten, G1009 Moses"),
        ("Chinese ransomware threat actors?", "1 group linked to China that uses ransomware: G"),
        ("Russian groups with ransomware and wipers", "uses ransomware and wipers: G0034 Sandworm"),
        ("List malware whose C2 is DNS", "T1071.004 DNS is used by the malware S"),
        ("Which tools adversaries use to dump credentials?", "Credential Dumping is used by S"),
        ("Which Russian groups use wipers?", "that use wipers: G0034 Sandworm Team"),
        ("Which groups use lateral movement techniques?", "has techniques that are used by G"),
        ("explain the SQL injection attack", "CAPEC-66 SQL Injection"),
        ("how is CWE-611 usually exploited?", "It is exploited by CAPEC-221"),
        ("how do intruders make use of CWE-918?", "It is exploited by CAPEC-664"),
        ("Which technique exploits CWE-776?", "No ATT&CK technique is recorded for CWE-776"),
        ("Which technique exploits CWE-776?", "It is exploited by CAPEC-197"),
        ("which mitigations of CWE-78 apply in the design phase", "In the phase Architecture and"),
        ("what langs is CWE-134 listed for", "occurs in the languages C, C++ and Perl"),
        ("what comes before CWE-125?", "CWE-125 Out-of-bounds Read can follow CWE-822"),
        ("Where does malware store itself to run at each logon by a Run key of the registry?",
         "T1547.001 Registry Run Keys / Startup Folder"),
    ],
)  # fmt: skip
def test_what_is_known_is_said(index: KnowledgeIndex, question: str, says: str) -> None:
    answer = answer_question(index, question)
    assert says in answer.answer
    assert answer.covered
    assert 0 < answer.confidence < 1
    assert answer.evidence
    assert answer.choice is None
    assert answer.scores == ()


def test_mitigations_are_told_by_phase_where_these_are_recorded() -> None:
    entry = Entry("CWE-22", "Path Traversal", "weakness", "https://a/22", ())
    own = (
        Fact("CWE-22", "mitigation phase", "Operation: Firewall"),
        Fact("CWE-22", "mitigation phase", "Implementation: Input Validation"),
    )
    passage = Passage("CWE-22", "Path Traversal", "weakness", "description", "A path.", entry.url)
    source = {"name": "CWE", "version": "1", "sha256": "0"}
    gloss = {"CWE-22": Gloss("A path is climbed.", "Check it.", "")}
    packed = pack([Knowledge("CWE", "1", (entry,), (passage,), own)], [passage], [source],
                  glossary=gloss)  # fmt: skip
    index = KnowledgeIndex.from_bytes(packed)
    said = answer_question(index, "which mitigations of CWE-22 apply in operation?").answer
    assert "In the phase Operation, CWE-22 Path Traversal is mitigated by Firewall." in said
    said = answer_question(index, "mitigations of CWE-22 in the build phase").answer
    assert "In the phase Build and Compilation, CWE-22 Path Traversal has no mitigation on" in said


def test_prerequisites_that_are_not_at_hand_are_not_said_to_be_none(index: KnowledgeIndex) -> None:
    answer = answer_question(index, "what must be in place before CAPEC-98 works?")
    assert not answer.covered
    assert "are only on its page, https://capec.mitre.org/data/definitions/98.html" in answer.answer


@pytest.mark.parametrize(
    "question",
    [
        "",
        "???",
        "What is the capital of France?",
        "How do I bake a chocolate cake?",
        "What is the weather today?",
        "What is the highest fine under article 83 of the GDPR?",
        "Who is T9999?",
        "how do i install python on windows",
        "best antivirus to buy",
        "Which platforms does T0816 run on?",  # upstream's own word is "None"
        "On which platform does T0803 run?",
        "Which groups target the energy sector?",
        "Which techniques need admin permissions?",
        "Is SQL injection still in the top 25?",
        "who wrote mimikatz",
        "when was CWE-1427 added?",
        "Why is T1110 in the tactic Credential Access?",
        "difference between a trojan and a backdoor",
        "which techniques does APT28 not cover?",
        "which groups are not from Russia?",
        "Which Vietnamese groups use wipers?",
        "Chinese groups that use trojans",
        "Russian groups that only use ransomware",
        "techniques that are not for Windows",
        "malware that does not run on Windows",
        "which groups that use Mimikatz are not from Russia?",
        "which groups attack embassies?",
        "techniques that work without admin rights",
        "Which software is the newest malware in ATT&CK?",
        "how do I detect exploitation of CVE-2019-0708?",
        "which CVEs are the most exploited CVEs?",
        "who uses the DarkGhost ransomware?",
        "[" * 20_000,  # every character was the start of a search through all that follow
    ],
)
def test_what_is_not_known_is_not_covered(index: KnowledgeIndex, question: str) -> None:
    answer = answer_question(index, question)
    assert (answer.answer[:11], answer.covered, answer.evidence) == (NOT_COVERED, False, ())
    assert answer.confidence <= 0.25


def test_evidence_is_about_the_entry_and_ordered(index: KnowledgeIndex) -> None:
    answer = answer_question(index, "What mitigates T1059?")
    assert answer.evidence[0].section in ("mitigation", "facts: mitigates")
    assert {evidence.id for evidence in answer.evidence} == {"T1059"}
    assert answer.evidence[0].url == "https://attack.mitre.org/techniques/T1059"
    scores = [evidence.score for evidence in answer.evidence]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(
    ("question", "section", "other"),
    [
        ("What is T1558.003?", "description", ""),
        ("Which logs show T1059.001?", "detection logs", ""),
        ("Does APT28 use T1056.001?", "procedure", "G0007"),
    ],
)
def test_evidence_begins_with_what_says_it(
    index: KnowledgeIndex, question: str, section: str, other: str
) -> None:
    first = answer_question(index, question).evidence[0]
    assert first.section == section
    assert other in ("", first.other)


def test_a_fact_counts_more_than_a_guess(index: KnowledgeIndex) -> None:
    by_id = answer_question(index, "What mitigates T1003.001?").confidence
    by_name = answer_question(index, "What mitigates LSASS Memory dumping?").confidence
    searched = answer_question(index, "tampering with the master boot record").confidence
    assert by_id > by_name > searched


def test_a_long_list_is_cut(index: KnowledgeIndex) -> None:
    assert answer_question(index, "Which software uses T1059.001?").answer.endswith(" more.")


def test_the_same_question_has_the_same_answer(index: KnowledgeIndex) -> None:
    question = "Which groups use spearphishing?"
    assert answer_question(index, question) == answer_question(KnowledgeIndex.load(), question)


def test_a_program_that_a_weakness_shows_in_does_not_make_it_off_topic(
    index: KnowledgeIndex,
) -> None:
    answer = answer_question(
        index, "Cells of our CSV export that begin with = become formulas in Excel. Which CWE?"
    )
    assert answer.answer.startswith("CWE-1236 ")


@pytest.mark.parametrize(
    ("question", "says"),
    [
        (
            "What comes after privilege escalation in the kill chain?",
            "TA0005 Defense Evasion comes",
        ),
        ("which tactic comes right before lateral movement", "TA0007 Discovery comes right before"),
        (
            "Which tactics lie between discovery and collection?",
            "stands TA0008 Lateral Movement in",
        ),
        ("Does exfiltration come before collection?", "No: TA0009 Collection comes before"),
        ("first tactic of ATT&CK", "The first tactic of the ATT&CK matrix is TA0043"),
        ("How many tactics does ATT&CK have?", "has 14 tactics for Enterprise, 12 tactics for"),
        ("how many groups are there", "has 176 groups."),
        ("How many ransomware groups are there?", "has 25 groups that use ransomware."),
        ("How many sub-techniques does T1003 have?", "There are 8 sub-techniques. T1003 OS Cred"),
        ("which malware targets macos", "pieces of software on macOS: S"),
        ("Iranian APT groups?", "groups linked to Iran: G"),
        ("what comes first, discovery or impact?", "TA0007 Discovery comes before TA0040 Impact"),
        (
            "Tactics of the mobile matrix in order",
            "are, in its order, TA0027 Initial Access, TA0041",
        ),
        ("What follows Collection in ICS?", "TA0101 Command and Control comes right after TA0100"),
        ("How many pieces of software are there altogether?", " pieces of software."),
        ("how many ransomware families does ATT&CK list", " pieces of ransomware."),
        ("list all tools in ATT&CK", "pieces of software: S0002 Mimikatz, S0005 "),
        ("weaknesses in Ruby", "weaknesses that occur in Ruby: CWE-"),
        ("techniques only for ESXi", "on ESXi only: T"),
        ("what is an attack pattern?", "An attack pattern is in CAPEC"),
        ("Difference between CWE and CAPEC?", "CWE (Common Weakness Enumeration) is"),
        ("which groups exploit CVE-2023-3519", "CVE-2023-3519 is reported with G1032 INC Ransom."),
    ],
)
def test_a_question_about_all_is_answered(index: KnowledgeIndex, question: str, says: str) -> None:
    assert says in answer_question(index, question).answer


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ("What is DCSync and how do I detect it?", ("T1003.006 DCSync: ", "leaves events with")),
        ("for T1486 give me mitigations, detections and groups",
         ("is mitigated by", "is detected by", "is used by G")),
        ("Who uses QakBot and on what platform does it run?", ("is used by G", "runs on Windows")),
        ("the server deserializes cookies with pickle. How bad is it, and what CWE?",
         ("CWE-502", "has the impact")),
    ],
)  # fmt: skip
def test_each_part_of_a_question_is_answered(
    index: KnowledgeIndex, question: str, says: tuple[str, ...]
) -> None:
    answer = answer_question(index, question).answer
    assert all(part in answer for part in says)


@pytest.mark.parametrize(
    ("polite", "plain"),
    [
        ("can you compare APT28 with APT29?", "compare APT28 with APT29?"),
        ("Hi! Could you please tell me if T1110 is in Credential Access?",
         "Is T1110 in Credential Access?"),
        ("I'd like to know which groups have used Cobalt Strike", "who uses Cobalt Strike"),
    ],
)  # fmt: skip
def test_a_polite_opening_changes_no_answer(index: KnowledgeIndex, polite: str, plain: str) -> None:
    assert answer_question(index, polite).answer == answer_question(index, plain).answer


def test_an_answer_that_only_shares_the_topic_is_unsure(index: KnowledgeIndex) -> None:
    asked = answer_question(index, "What is PowerShell?")
    beside = answer_question(index, "Should we block PowerShell?")
    assert beside.confidence < 0.5 < asked.confidence


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ("What should I use instead of CWE-119?", "Allowed below it are CWE-"),
        ("CWE-20 is discouraged, so what is a better choice?", "Mapping a CVE to CWE-20"),
        ("Is T1064 deprecated?", "T1064 Scripting is deprecated"),
        ("What replaced T1086?", "T1086 was replaced by T1059.001 PowerShell."),
        ("techniques of APT32 that are not used by APT28", "techniques that G0007 APT28 has not"),
        ("Why is T1566 in the Exfiltration tactic?", "No: T1566 Phishing serves Initial Access"),
        ("which ATT&CK techniques does CWE-522 map to?", "is exploited, through CAPEC, by T"),
        ("Are APT28 and APT29 the same group?", "No: G0007 APT28 and G0016 APT29 are two entries."),
        ("Do APT28 and APT29 use the same malware?", "pieces of software in common: S"),
        ("Are T1059 and T1053 in the same tactic?", "tactic in common: TA0002 Execution"),
        ("What should I use instead of CWE-75?", "Allowed below it is CWE-76 "),
    ],
)
def test_what_is_asked_is_not_mistaken_for_its_neighbour(
    index: KnowledgeIndex, question: str, says: str
) -> None:
    assert says in answer_question(index, question).answer


@pytest.mark.parametrize(
    ("question", "out"),
    [
        ("which techniques do not run on Linux?", True),
        ("sub-techniques of T1059 that aren't meant for macOS", True),
        ("techniques of FIN6 on Linux without touching the disk", False),
        ("what runs on ESXi that no defender sees?", False),
    ],
)
def test_a_platform_is_left_out_where_it_is_denied(
    index: KnowledgeIndex, question: str, out: bool
) -> None:
    assert understand(index, question).leaves_out is out


@pytest.mark.parametrize(
    ("question", "says", "never"),
    [
        ("Iranian groups apart from OilRig, MuddyWater and APT35?", "G0064 APT33", "G0049"),
        ("which crews except FIN6 and FIN7 used AdFind?", "is used by G", "G0046"),
        ("which sub-techniques of T1505 are not for Windows?", "T1505.006 vSphere", "T1505.001"),
        ("are Kimsuky and Andariel two groups or one?", "are two entries.", "Yes"),
        ("does ATT&CK have FIN6 and FIN8 as distinct groups?", "Yes: G0037 FIN6", "in common"),
        ("groups which use AdFind and also Rclone", "groups in common: G", "is used by"),
        ("our vendor claims that turla never used mimikatz, is that true?",
         "G0010 Turla uses S0002 Mimikatz", "No"),
        ("does apt32 use powershell?", "Yes: G0050 APT32 uses T1059.001", "Vietnamese"),
        ("which crews use RustDesk?", "RustDesk is no entry of its own here", "S0"),
        ("techniques for Containers and no other platform", "on Containers only: T", "T1059.004"),
        ("techniques that run solely on ESXi", "on ESXi only: T1059.012", "T1486"),
        ("what's the name of the group behind the SolarWinds Compromise?", "APT29", "also known"),
        ("user ran a macro of a document that was mailed to him, initial access technique?",
         "T1566.001", "T1189"),
        ("is it Emotet that drops TrickBot or vice versa?", "S0367 Emotet", "fits better"),
        ("Lazarus Group uses AppleJeus?", "G0032 Lazarus Group uses S0584 AppleJeus", "active"),
        ("Welche chinesischen Gruppen gibt es?", "groups linked to China: G", "not covered"),
        ("groupes russes qui utilisent Mimikatz", "Of the groups linked to Russia", "G0003"),
        ("gruppi della Corea del Nord", "groups linked to North Korea: G0032", "South"),
        ("how do crooks get around EDR?", "T1562.001", "M1040"),
        ("DS-Replication-Get-Changes was requested from a workstation", "T1003.006", "T1207"),
        ("iptables -F was run on our web server, which technique?", "T1562.004", "T1595"),
        ("which ransomware can encrypt ESXi hosts?", "on ESXi: S", "T1486 Data"),
        ("North Korean groups with ransomware on Linux", "linked to North Korea", "on Linux: S"),
        ("which logs show a new systemd timer on Linux?", "On Linux, T1053.006", "macos"),
        ("fake job interview by Lazarus Group: which techniques does it use?", "uses T", "not cov"),
        ("techniques shared by Raccoon and Lumma", "in common", "S1148 Raccoon Stealer uses"),
        ("CaddyWiper or Emotet, which of them is a wiper?", "S0693 CaddyWiper is counted", "T1"),
        ("what did NotPetya target?", "S0368 NotPetya: ", "not covered"),
        ("whom does FIN6 go after", "G0037 FIN6: ", "not covered"),
        ("the error page reveals stack traces, how to fix?", "CWE-209", "is detected"),
        ("We hash passwords by SHA-1. What should we do instead?", "prevented like", "specific w"),
        ("what is the right way to store passwords?", "Argon2", "decline"),
        ("Can CWE-770 be triggered by 1003 requests?", "CWE-770", "view CWE-1003"),
        ("Is Dridex gone?", "S0384 Dridex", "in force"),
        ("Does APT39 use AnyDesk?", "AnyDesk is no entry", "Yes"),
        ("how to prevent improper restriction of operations within the bounds of a memory buffer",
         "is prevented like this", "In the phase"),
        ("severity of CAPEC-570 and CAPEC-100", "CAPEC-570 is deprecated", "not covered"),
        ("For CAPEC-66 to work, what must be true?", "CAPEC-66", "Yes"),
        ("what is T1059" + " " * 20_000 + "?", "T1059 Command and", "not covered"),
        ("what is T1059" + "-" * 19_000 + "?", "T1059 Command and", "not covered"),
        ("We run Docker. Which techniques are for Containers?", "techniques on Containers", "fit"),
        ("keys are hard-coded, what does CWE say we should do instead", "prevented", "specific w"),
        ("which wipers has Sandworm used?", "uses the wipers S", "Russian spies"),
        ("PlugX found on a laptop. Who is known to use it?", "is used by G", "Modular"),
        ("how did they get in back then?", "Please say more", "T1"),
        ("AV says Thoper, what is it in ATT&CK?", "S0013 PlugX", "M1049"),
        ("what is a rootkit", "T1014", "not covered"),
        ("is Kimsuky hunting journalists?", "nothing here records whom", "DET"),
    ],
)  # fmt: skip
def test_what_restricts_or_turns_a_question_is_heeded(
    index: KnowledgeIndex, question: str, says: str, never: str
) -> None:
    answer = answer_question(index, question).answer
    assert says in answer
    assert never not in answer

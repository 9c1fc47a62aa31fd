"""All relations of ATT&CK, CAPEC and CWE that are asked about, and the words for the last two's.

Steps of an attack are left out: they are no defender's answer.
"""

from __future__ import annotations

from cybersecqwen.synthesis.relation_questions import Relation
from cybersecqwen.synthesis.techniques import TECHNIQUES
from cybersecqwen.synthesis.usage import USAGE

_MITIGATION = (
    Relation(
        topic="mitigation of a technique",
        kind="mitigation",
        relation="mitigates",
        subjects=("technique",),
        targets=("mitigation",),
        says="mitigations",
        inverse=True,
        asks=(
            "Which mitigation does ATT&CK list for {subject}?",
            "How can the risk of {subject} be lowered, according to ATT&CK?",
            "A control against {subject} is wanted. Which of these does ATT&CK recommend?",
            "Which of these measures addresses {subject}?",
            "{subject} keeps appearing in alerts. Which mitigation is listed for it?",
            "Budget allows for one measure against {subject}. Which option is listed in ATT&CK?",
        ),
        reasons=(
            "ATT&CK lists {right} as a mitigation of {subject}.",
            "{right} mitigates {subject}; the others are not listed for it.",
            "Against {subject}, the listed measure is {right}.",
        ),
        list_asks=(
            "Which mitigations does ATT&CK list for {subject}?",
            "How should defenders mitigate {subject}?",
            "Name the measures that ATT&CK recommends against {subject}.",
            "What belongs in a hardening plan against {subject}?",
            "Which controls lower the risk of {subject}, according to ATT&CK?",
        ),
        list_answers=(
            "ATT&CK lists {all}.",
            "Against {subject}, ATT&CK recommends {all}.",
            "The mitigations on record for {subject}: {all}.",
        ),
    ),
    Relation(
        topic="techniques of a mitigation",
        kind="mitigation",
        relation="mitigates",
        subjects=("mitigation",),
        targets=("technique",),
        says="mitigates",
        asks=(
            "Which technique does {subject} mitigate?",
            "{subject} is being rolled out. Which of these techniques does it address?",
            "Against which of these does {subject} help, according to ATT&CK?",
            "The case for {subject} needs an example. Which technique does ATT&CK list under it?",
        ),
        reasons=(
            "ATT&CK lists {subject} against {right}.",
            "{subject} mitigates {right}; it is not listed for the other three.",
        ),
    ),
)

_CONSEQUENCE = (
    Relation(
        topic="impact of a weakness",
        kind="consequence",
        relation="impact",
        subjects=("weakness",),
        targets=(),
        says="technical impact",
        asks=(
            "Which technical impact does CWE list for {subject}?",
            "What can follow from {subject}, according to CWE's common consequences?",
            "A review finds {subject}. Which of these impacts does CWE name for it?",
            "Which of these is a common consequence of {subject}?",
            "{subject} is left unfixed. Which impact should the risk register name?",
        ),
        reasons=(
            "CWE lists {right} as an impact of {subject}.",
            "{right} is among the common consequences of {subject}; the others are not.",
        ),
        list_asks=(
            "What are the technical impacts of {subject}?",
            "What can an attacker gain where {subject} is present? Name CWE's technical impacts.",
            "Summarise the common consequences of {subject}.",
            "Why does {subject} matter? Give the impacts that CWE lists.",
        ),
        list_answers=(
            "Impact of {subject}, according to CWE: {all}.",
            "As consequences of {subject}, CWE names {all}.",
            "In CWE's terms, {subject} can lead to this: {all}.",
        ),
    ),
    Relation(
        topic="scope of a weakness",
        kind="consequence",
        relation="scope",
        subjects=("weakness",),
        targets=(),
        says="scope of its consequences",
        asks=(
            "Which security property does {subject} affect, according to CWE?",
            "Which scope do the common consequences of {subject} have?",
            "{subject} is found in a product. Which of these is at stake in CWE's terms?",
        ),
        reasons=(
            "CWE gives {right} as a scope of the consequences of {subject}.",
            "Among the scopes of {subject}, CWE lists {right}.",
        ),
        list_asks=(
            "Which security properties are at stake with {subject}?",
            "Which scopes does CWE give for the consequences of {subject}?",
        ),
        list_answers=(
            "CWE names {all} for {subject}.",
            "The consequences of {subject} concern {all}.",
        ),
    ),
    Relation(
        topic="impact of a pattern",
        kind="consequence",
        relation="impact",
        subjects=("attack pattern",),
        targets=(),
        says="consequences",
        asks=(
            "Which consequence does CAPEC list for {subject}?",
            "What does a successful {subject} lead to, according to CAPEC?",
            "Which of these impacts belongs to the attack pattern {subject}?",
        ),
        reasons=(
            "CAPEC lists {right} among the consequences of {subject}.",
            "{right} is on record for {subject}; the others are not.",
        ),
        list_asks=(
            "Which consequences does CAPEC list for {subject}?",
            "What is at stake if {subject} succeeds?",
        ),
        list_answers=("CAPEC lists {all}.", "If {subject} succeeds, CAPEC names {all}."),
    ),
    Relation(
        topic="severity of a pattern",
        kind="consequence",
        relation="severity",
        subjects=("attack pattern",),
        targets=(),
        says="typical severity",
        asks=(
            "What typical severity does CAPEC give to {subject}?",
            "How severe is {subject} typically, according to CAPEC?",
            "To rank {subject}, which typical severity is on record?",
        ),
        reasons=("CAPEC's typical severity of {subject} is {right}.",),
    ),
)

_WEAKNESS = (
    Relation(
        topic="weakness behind a pattern",
        kind="weakness",
        relation="exploits",
        subjects=("attack pattern",),
        targets=("weakness",),
        says="related weaknesses",
        asks=(
            "Which weakness does {subject} exploit?",
            "The attack pattern {subject} relies on one of these weaknesses. Which one?",
            "To close the door on {subject}, which weakness has to be fixed?",
            "Which CWE entry is related to {subject}?",
        ),
        reasons=(
            "CAPEC relates {subject} to {right}.",
            "{right} is a related weakness of {subject}; the others are not listed.",
        ),
        list_asks=(
            "Which weaknesses does {subject} exploit?",
            "Name the CWE entries that are related to {subject}.",
            "What should a code review look for to stop {subject}?",
        ),
        list_answers=(
            "CAPEC relates {subject} to {all}.",
            "{subject} exploits {all}.",
        ),
    ),
    Relation(
        topic="patterns against a weakness",
        kind="weakness",
        relation="exploits",
        subjects=("weakness",),
        targets=("attack pattern",),
        says="related attack patterns",
        inverse=True,
        asks=(
            "Which attack pattern exploits {subject}?",
            "A product has {subject}. Which CAPEC pattern is related to it?",
            "Which of these attacks becomes possible through {subject}?",
        ),
        reasons=(
            "{right} is related to {subject}.",
            "CAPEC lists {right} as an attack on {subject}.",
        ),
        list_asks=(
            "Which attack patterns does CWE relate to {subject}?",
            "Which attacks should a threat model consider where {subject} is present?",
        ),
        list_answers=("Related to {subject}: {all}.", "{subject} is exploited by {all}."),
    ),
    Relation(
        topic="parent weakness",
        kind="weakness",
        relation="part of",
        subjects=("weakness",),
        targets=("weakness",),
        says="child of",
        asks=(
            "Of which weakness is {subject} a more specific form?",
            "Which weakness is a parent of {subject}?",
            "A finding is labelled {subject}. Which broader CWE entry covers it?",
            "One level up from {subject} in CWE stands one of these. Which?",
        ),
        reasons=(
            "{subject} is a child of {right}.",
            "In CWE, {right} is a parent of {subject}.",
        ),
    ),
    Relation(
        topic="child weaknesses",
        kind="weakness",
        relation="part of",
        subjects=("weakness",),
        targets=("weakness",),
        says="children",
        inverse=True,
        asks=(
            "Which of these is a more specific form of {subject}?",
            "{subject} is too broad for a finding. Which option is one of its children?",
            "Which weakness stands directly below {subject} in CWE?",
        ),
        reasons=(
            "{right} is a child of {subject}.",
            "CWE files {right} below {subject}; the others stand elsewhere.",
        ),
        list_asks=(
            "Which weaknesses are children of {subject}?",
            "{subject} is too broad a label. Which more specific entries does CWE offer?",
        ),
        list_answers=(
            "Children of {subject}: {all}.",
            "Directly below {subject}, CWE has {all}.",
        ),
    ),
    Relation(
        topic="phase of introduction",
        kind="weakness",
        relation="phase",
        subjects=("weakness",),
        targets=(),
        says="introduced in",
        asks=(
            "In which phase is {subject} introduced, according to CWE?",
            "When in the life of a product does {subject} come about?",
            "Which phase does CWE name for the introduction of {subject}?",
        ),
        reasons=(
            "CWE lists {right} as a phase in which {subject} is introduced.",
            "{subject} is introduced in the phase {right}.",
        ),
        list_asks=(
            "In which phases is {subject} introduced?",
            "Which phases of development does CWE name for {subject}?",
        ),
        list_answers=(
            "CWE names {all} for {subject}.",
            "{subject} comes about in the phase {all}.",
        ),
        longest=1,
    ),
)

RELATIONS = (*TECHNIQUES, *USAGE, *_MITIGATION, *_CONSEQUENCE, *_WEAKNESS)

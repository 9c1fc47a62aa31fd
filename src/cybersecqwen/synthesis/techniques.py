"""The relations of ATT&CK techniques that are asked about, and the words for them."""

from __future__ import annotations

from cybersecqwen.synthesis.relation_questions import Relation

TECHNIQUES = (
    Relation(
        topic="tactic",
        kind="technique",
        relation="tactic",
        subjects=("technique",),
        targets=("tactic",),
        says="tactic",
        asks=(
            "Which ATT&CK tactic does {subject} serve?",
            "Under which tactic does ATT&CK file the technique {subject}?",
            "An alert is mapped to {subject}. Which tactic does that technique belong to?",
            "What adversary goal, as an ATT&CK tactic, is pursued with {subject}?",
            "Where in the ATT&CK matrix is {subject} found?",
            "{subject} is listed in ATT&CK under one of these tactics. Which one?",
        ),
        reasons=(
            "ATT&CK lists {subject} under {right}.",
            "{subject} belongs to the tactic {right}.",
            "The tactic on record for {subject} is {right}; the other three are not listed for it.",
        ),
        list_asks=(
            "Which tactics does {subject} belong to in ATT&CK?",
            "Name every ATT&CK tactic under which {subject} is listed.",
            "What are adversaries after when they use {subject}? Answer with ATT&CK tactics.",
            "Map {subject} to its ATT&CK tactics.",
        ),
        list_answers=(
            "ATT&CK lists {subject} under {all}.",
            "As tactics of {subject}, ATT&CK names {all}.",
            "On record for {subject}: {all}.",
        ),
    ),
    Relation(
        topic="parent technique",
        kind="technique",
        relation="part of",
        subjects=("technique",),
        targets=("technique",),
        says="sub-technique of",
        plain=True,
        asks=(
            'Of which technique is "{subject}" a sub-technique?',
            'A report cites the sub-technique "{subject}". Under which technique does it count?',
            'To roll the sub-technique "{subject}" up one level in ATT&CK, which is its parent?',
            'The sub-technique "{subject}" refines a broader ATT&CK technique. Which one?',
            'What is the parent technique of "{subject}"?',
        ),
        reasons=(
            "{subject} is a sub-technique of {right}.",
            "In ATT&CK, {right} is the parent of {subject}.",
            "{subject} stands below {right} in the matrix.",
        ),
    ),
    Relation(
        topic="sub-techniques",
        kind="technique",
        relation="part of",
        subjects=("technique",),
        targets=("technique",),
        says="sub-techniques",
        plain=True,
        inverse=True,
        asks=(
            'Which of these is a sub-technique of "{subject}"?',
            'The technique "{subject}" has sub-techniques. Which option is one of them?',
            'To measure the coverage of "{subject}", which of these counts?',
            'Which option belongs below "{subject}" in the ATT&CK hierarchy?',
        ),
        reasons=(
            "{right} is a sub-technique of {subject}.",
            "ATT&CK files {right} below {subject}; the others have another parent.",
        ),
        list_asks=(
            "Which sub-techniques does {subject} have?",
            "List the sub-techniques that ATT&CK files below {subject}.",
            "Into which sub-techniques does ATT&CK divide {subject}?",
            "For a coverage map of {subject}, which sub-techniques have to be considered?",
        ),
        list_answers=(
            "Below {subject}, ATT&CK has {all}.",
            "ATT&CK files {all} below {subject}.",
            "Sub-techniques of {subject}: {all}.",
        ),
        longest=7,
    ),
    Relation(
        topic="platform",
        kind="technique",
        relation="platform",
        subjects=("technique",),
        targets=(),
        says="platforms",
        asks=(
            "On which of these platforms does ATT&CK describe {subject}?",
            "Which platform is listed for {subject}?",
            "Detections for {subject} are being deployed. Which of these platforms is in scope?",
            "{subject} applies to one of these platforms according to ATT&CK. Which?",
        ),
        reasons=(
            "ATT&CK lists {right} among the platforms of {subject}.",
            "{right} is a platform of {subject}; the others are not listed for it.",
        ),
        list_asks=(
            "On which platforms does ATT&CK describe {subject}?",
            "Which platforms have to be covered by a detection of {subject}?",
            "Where can {subject} be seen? Name the platforms that ATT&CK lists.",
        ),
        list_answers=(
            "For {subject}, ATT&CK lists {all}.",
            "ATT&CK describes {subject} on {all}.",
        ),
        longest=7,
    ),
    Relation(
        topic="data component",
        kind="technique",
        relation="data for",
        subjects=("technique",),
        targets=("data component",),
        says="data components that help to detect it",
        inverse=True,
        asks=(
            "Which data component helps to detect {subject}?",
            "A detection for {subject} is planned. Which data component does ATT&CK name?",
            "Telemetry is being chosen with {subject} in mind. Which option does ATT&CK point to?",
            "Which of these should be collected to see {subject}, according to ATT&CK?",
        ),
        reasons=(
            "ATT&CK's detections of {subject} read {right}.",
            "{right} is a data component for {subject}; the others are not listed for it.",
        ),
        list_asks=(
            "Which data components help to detect {subject}?",
            "What has to be logged to detect {subject}? Name ATT&CK's data components.",
            "List the telemetry that ATT&CK's detections of {subject} rest on.",
        ),
        list_answers=(
            "ATT&CK's detections of {subject} read {all}.",
            "To detect {subject}, collect {all}.",
        ),
    ),
)

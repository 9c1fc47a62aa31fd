"""Who and what uses a technique, what it targets, and its counterpart in CAPEC: what is asked.

Left out on purpose: who a campaign is attributed to, which is what cti-taa asks.
"""

from __future__ import annotations

from cybersecqwen.synthesis.relation_questions import Relation

_SOFTWARE = ("malware", "tool")

USAGE = (
    Relation(
        topic="techniques of a group",
        kind="technique",
        relation="uses",
        subjects=("group",),
        targets=("technique",),
        says="uses",
        asks=(
            "Which of these techniques is {subject} known to use?",
            "ATT&CK records one of these techniques for the group {subject}. Which one?",
            "A hunt for {subject} is being scoped. Which technique is on record for the group?",
            "Which option has been seen in operations of {subject}?",
        ),
        reasons=(
            "ATT&CK records {right} for {subject}.",
            "{right} is on record for {subject}; the other three are not.",
        ),
    ),
    Relation(
        topic="groups that use a technique",
        kind="technique",
        relation="uses",
        subjects=("technique",),
        targets=("group",),
        says="groups known to use it",
        inverse=True,
        asks=(
            "Which of these groups is known to use {subject}?",
            "For which threat group does ATT&CK record {subject}?",
            "Intrusion activity maps to {subject}. Which of these groups is on record with it?",
            "{subject} has been seen with one of these groups. With which?",
        ),
        reasons=(
            "ATT&CK records {subject} for {right}.",
            "Of the four groups, {right} is on record with {subject}.",
        ),
        list_asks=(
            "Which groups does ATT&CK record with {subject}?",
            "Name the threat groups known to use {subject}.",
            "Whose reports should be read by someone who hunts for {subject}?",
        ),
        list_answers=(
            "ATT&CK records {subject} for {all}.",
            "On record with {subject}: {all}.",
        ),
        longest=5,
    ),
    Relation(
        topic="techniques of software",
        kind="technique",
        relation="uses",
        subjects=_SOFTWARE,
        targets=("technique",),
        says="uses",
        asks=(
            "Which technique does ATT&CK record for {subject}?",
            "{subject} was found on a host. Which of these techniques is it known to use?",
            "Which behaviour is on record for {subject}?",
            "Which of these ATT&CK techniques should be expected from {subject}?",
        ),
        reasons=(
            "{right} is on record for {subject}.",
            "ATT&CK records {right} for {subject}, and none of the other options.",
        ),
    ),
    Relation(
        topic="software of a group",
        kind="technique",
        relation="uses",
        subjects=("group",),
        targets=_SOFTWARE,
        says="software",
        asks=(
            "Which of these is software that {subject} has used?",
            "ATT&CK ties one of these to the group {subject}. Which?",
            "Which malware or tool is on record for {subject}?",
            "An analyst profiles {subject}. Which software belongs in the profile?",
        ),
        reasons=(
            "ATT&CK records that {subject} has used {right}.",
            "{right} is on record for {subject}; the other options are not.",
        ),
        list_asks=(
            "Which software does ATT&CK record for {subject}?",
            "Name the malware and tools that {subject} is known to have used.",
            "What software belongs in a profile of {subject}?",
        ),
        list_answers=(
            "On record for {subject}: {all}.",
            "ATT&CK records {all} for {subject}.",
        ),
    ),
    Relation(
        topic="asset",
        kind="technique",
        relation="targets",
        subjects=("technique",),
        targets=("asset",),
        says="targeted assets",
        asks=(
            "Which of these assets can {subject} target in an industrial environment?",
            "Which industrial asset does ATT&CK list as a target of {subject}?",
            "{subject} is assessed for a plant. Which asset is exposed to it according to ATT&CK?",
        ),
        reasons=(
            "ATT&CK for ICS lists {right} as a target of {subject}.",
            "{right} is among the assets that {subject} targets; the others are not.",
        ),
        list_asks=(
            "Which assets does ATT&CK for ICS list as targets of {subject}?",
            "What in a plant is exposed to {subject}, according to ATT&CK for ICS?",
        ),
        list_answers=("ATT&CK for ICS lists {all}.", "{subject} targets {all}."),
        longest=5,
    ),
    Relation(
        topic="technique of a pattern",
        kind="technique",
        relation="same as",
        subjects=("attack pattern",),
        targets=("technique",),
        says="ATT&CK technique",
        asks=(
            "Which ATT&CK technique does CAPEC map {subject} to?",
            "A threat model names {subject}. Which ATT&CK technique does it correspond to?",
            "What is the ATT&CK counterpart of {subject}?",
            "{subject} has a counterpart in ATT&CK. Which technique is it?",
        ),
        reasons=(
            "CAPEC's mapping for {subject} is {right}.",
            "{subject} corresponds to {right}.",
        ),
    ),
    Relation(
        topic="patterns of a technique",
        kind="technique",
        relation="same as",
        subjects=("technique",),
        targets=("attack pattern",),
        says="CAPEC attack pattern",
        inverse=True,
        asks=(
            "Which CAPEC attack pattern corresponds to {subject}?",
            "To move from {subject} to CAPEC, which attack pattern is the mapped one?",
            "CAPEC maps one of these patterns to {subject}. Which?",
        ),
        reasons=("CAPEC maps {right} to {subject}.", "{right} is the pattern for {subject}."),
    ),
)

"""The relations of ATT&CK, CAPEC and CWE that are asked about, and the words for them.

Left out on purpose: who a campaign is attributed to, which is what cti-taa asks, and steps of an
attack, which are no defender's answer.
"""

from __future__ import annotations

from cybersecqwen.corpus.synthesis.relations import Relation

_SOFTWARE = ("malware", "tool")

_TECHNIQUE = (
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
            'A report cites the sub-technique "{subject}". Which technique should a heat map count it under?',
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
            'The technique "{subject}" is broken down further in ATT&CK. Which option is one of its parts?',
            'Coverage of "{subject}" is measured by sub-technique. Which of these counts towards it?',
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
            "A detection for {subject} is planned. Which of these data components does ATT&CK name?",
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
            "For ranking {subject}, which typical severity is on record?",
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
            "Where in development should {subject} be caught first?",
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

RELATIONS = (*_TECHNIQUE, *_MITIGATION, *_CONSEQUENCE, *_WEAKNESS)

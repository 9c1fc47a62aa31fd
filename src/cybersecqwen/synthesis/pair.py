"""A question with its answer and the text that it rests on, before and after it is rendered.

A draft holds what a maker of pairs says; a pair is a draft with its options in an order, as the
prompt and the completion of a training file.

>>> source = Grounding("CWE 4.16", "CWE-79", "CWE-79 Cross-site Scripting; likelihood: High")
>>> draft = Draft("weakness", "likelihood", "CWE-79", "How likely is CWE-79 to be exploited?",
...               "CWE lists a High likelihood of exploit.", (source,), ("High",),
...               options=("High", "Low", "Medium", "Unknown"))
>>> pair = arranged(draft, 2)
>>> pair.options, pair.completion.splitlines()[-1]
(('Low', 'Medium', 'High', 'Unknown'), 'C')
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, get_args

from cybersecqwen.files import Json
from cybersecqwen.prompts import mcq_prompt, rcm_prompt, vsp_prompt
from cybersecqwen.records import Fact

Kind = Literal["weakness", "consequence", "mitigation", "technique", "cvss", "component"]
KINDS: tuple[str, ...] = get_args(Kind)
LETTERS = "ABCD"
CVE_TEXT = "CVE description"  # the source of a grounding that is a record's own text

# An analyst's own words, four options, and the two prompts of CTI-Bench about a description.
Form = Literal["free", "choice", "cwe", "vector"]


@dataclass(frozen=True, slots=True)
class Grounding:
    """A text that an answer rests on, and where it stands: a CVE record or an entry."""

    source: str
    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A pair as it is made: of options the right one stands first.

    `support` are the words that carry the answer; the grounding holds them to the letter. `last`
    is the last line of an answer that ends in one, and the question of the forms `cwe` and
    `vector` is the bare description. `facts` are the relations that the pair gives away.
    """

    kind: str
    topic: str
    subject: str  # CVE id, entry id or vector: pairs about one never stand in both files
    question: str
    answer: str
    grounding: tuple[Grounding, ...]
    support: tuple[str, ...]
    options: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    form: Form = "free"
    last: str = ""
    made_by: str = "facts"


# A maker yields drafts until it has nothing more to ask; makers stand by kind, topic, and whether
# they give options.
Maker = Callable[[], Iterator[Draft]]
Makers = dict[tuple[str, str, bool], Maker]


@dataclass(frozen=True, slots=True)
class Pair:
    """A draft in the form that a model is trained on; `options` in the order of the letters."""

    draft: Draft
    options: tuple[str, ...]
    letter: str
    prompt: str
    completion: str

    def row(self) -> Json:
        """Return the pair as a line of a training file."""
        draft = self.draft
        return {
            "kind": draft.kind,
            "topic": draft.topic,
            "form": draft.form,
            "subject": draft.subject,
            "prompt": self.prompt,
            "completion": self.completion,
            "question": draft.question,
            "options": list(self.options),
            "answer": self.letter or draft.last,
            "grounding": [asdict(one) for one in draft.grounding],
            "support": list(draft.support),
            "facts": [list(fact) for fact in draft.facts],
            "made_by": draft.made_by,
        }


def arranged(draft: Draft, position: int) -> Pair:
    """Render a draft; the right one of its options goes to `position`, the others keep their order.

    The last line of a multiple choice is the lone letter.
    """
    if not draft.options:
        completion = f"{draft.answer}\n\n{draft.last}" if draft.last else draft.answer
        return Pair(draft, (), "", _prompt(draft), completion)
    right, *wrong = draft.options
    options = (*wrong[:position], right, *wrong[position:])
    letter = LETTERS[position]
    prompt = mcq_prompt(draft.question, options)
    return Pair(draft, options, letter, prompt, f"{draft.answer}\n\n{letter}")


def right_first(options: Sequence[str], position: int) -> tuple[str, ...]:
    """Put the right one of some options first, as a draft has it."""
    return (options[position], *options[:position], *options[position + 1 :])


def draft_of(row: Json) -> Draft:
    """Read a line of a training file back, so that it can be checked again."""
    options = tuple(row["options"])
    if options:
        options = right_first(options, LETTERS.index(row["answer"]))
    answer, separator, last = row["completion"].rpartition("\n\n")
    return Draft(
        kind=row["kind"],
        topic=row["topic"],
        subject=row["subject"],
        question=row["question"],
        answer=answer if separator and row["answer"] else row["completion"],
        grounding=tuple(Grounding(**one) for one in row["grounding"]),
        support=tuple(row["support"]),
        options=options,
        facts=tuple(Fact(*fact) for fact in row["facts"]),
        form=row["form"],
        last="" if options or not row["answer"] else last,
        made_by=row["made_by"],
    )


def _prompt(draft: Draft) -> str:
    prompts = {"cwe": rcm_prompt, "vector": vsp_prompt}
    return prompts[draft.form](draft.question) if draft.form in prompts else draft.question

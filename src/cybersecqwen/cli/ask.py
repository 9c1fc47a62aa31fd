"""`cybersecqwen ask`: answers to CTI questions with their evidence."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import click

from cybersecqwen.cli.group import FILE, help_text
from cybersecqwen.cli.model import HELP, METAVAR, model_options, one_model, take_engine_options
from cybersecqwen.cli.streams import Bad, write_lines

if TYPE_CHECKING:
    from cybersecqwen.analyst.questions import Question
    from cybersecqwen.records import Answer


@click.command(help=help_text("ask"))
@click.argument("questions", nargs=-1, metavar="[QUESTION]...")
@click.option("--option", "options", multiple=True, help="An option to choose from; repeated.")
@click.option("--items", type=FILE, help="TSV or CSV with Question, Option A, …; or JSONL.")
@click.option("--chat", is_flag=True, help="Each question may point back to the one before.")
@click.option("--guess", is_flag=True, help="Choose an option also where nothing supports it.")
@click.option(
    "--records",
    type=FILE,
    multiple=True,
    help="Files of CVE records, of KEV or of EPSS; may be repeated.  [default: what fetch left in"
    " its cache]",
)
@click.option("--top", type=click.IntRange(min=0), default=3, help="Evidence.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.option(
    "--engine",
    "--model",
    metavar=METAVAR,
    help="A language model that writes the answer from the passages found, each sentence checked "
    f"against them: {HELP}  [default: none, the answer is the embedded model's]",
)
@model_options
def ask(
    questions: tuple[str, ...],
    options: tuple[str, ...],
    items: Path | None,
    chat: bool,
    guess: bool,
    top: int,
    as_json: bool,
    **others: Any,
) -> None:
    """Answer questions."""
    _check(questions, options, items, chat=chat)
    records: tuple[Path, ...] = others.pop("records")
    model = one_model(others.pop("engine"))
    opening = take_engine_options(others, model)
    from cybersecqwen.analyst.questions import Conversation, as_answer
    from cybersecqwen.analyst.questions import ask as answer

    bad = Bad()
    given = _given(questions, options, items, bad)
    answers: Iterable[tuple[Question, Answer]]
    if chat:
        talk = Conversation(records=records)
        answers = ((q, talk.ask(q.text)) for q in given)
    else:
        answers = ((q, answer(q.text, q.options, guess=guess, records=records)) for q in given)
    if model and model != "embedded":
        from cybersecqwen.analyst.grounded_answers import AHEAD, write_answers

        typed = chat or ("-" in questions and sys.stdin.isatty())
        ahead = 1 if typed else AHEAD  # who types waits for each answer
        answers = write_answers(answers, model, ahead=ahead, report=bad.report, **opening)
    if as_json:
        from cybersecqwen.cli.output import json_line

        lines: Iterable[str] = (json_line(as_answer(q, a, top=top)) for q, a in answers)
    else:
        lines = _texts(answers, top=top, several=items is not None or len(questions) != 1)
    write_lines(lines)
    bad.finish()


def _check(
    questions: tuple[str, ...], options: tuple[str, ...], items: Path | None, *, chat: bool
) -> None:
    """Refuse what has no meaning, before anything is loaded."""
    if chat and options:
        raise click.UsageError("--chat takes free questions, without --option")
    if items and (questions or options):
        raise click.UsageError("give --items, or a question, not both")
    if options and len(questions) != 1:
        raise click.UsageError("--option belongs to one question; for many give --items")
    if len(options) == 1 or len(options) > 26:
        raise click.UsageError(f"give 2 to 26 options, not {len(options)}")
    if any(not question.strip() for question in questions):
        raise click.UsageError("the question is empty")
    if "-" in questions and questions != ("-",):
        raise click.UsageError("- is standard input, and comes alone")
    if not questions and not items and not chat and sys.stdin.isatty():
        raise click.UsageError('nothing is asked; for example: cybersecqwen ask "What is CWE-79?"')


def _given(
    questions: tuple[str, ...], options: tuple[str, ...], items: Path | None, bad: Bad
) -> Iterator[Question]:
    from cybersecqwen.analyst.questions import Question, read_items, read_lines

    if items:
        yield from read_items(items, bad.report)
    elif questions and questions != ("-",):
        yield from (Question(i, text, options) for i, text in enumerate(questions))
    else:
        yield from read_lines(sys.stdin.buffer, "stdin", bad.report)


def _texts(answers: Iterable[tuple[Question, Answer]], *, top: int, several: bool) -> Iterator[str]:
    from cybersecqwen.cli.output import grounding_lines, terminal_text

    for question, answer in answers:
        shown = answer.answer
        if answer.choice is not None:
            shown = f"{shown}) {question.options[answer.choice]}"
            shown += "" if answer.covered else " (a guess: nothing known supports it)"
        lines = [f"{question.id}: {question.text[:200]}"] if several else []
        shown += f"  [{answer.confidence:.0%}]"
        lines += [fill(line, 100) for line in shown.splitlines()]
        of = "sentences" if answer.choice is None else "answers"
        lines += grounding_lines(answer.grounding, answer.answer, of=of)
        for evidence in () if answer.listing else answer.evidence[:top]:
            lines.append(
                f"  {evidence.id:10} {evidence.name} "
                f"({evidence.kind}, {evidence.section}) {evidence.url}"
            )
            if evidence.other:
                lines.append(f"    {evidence.other:8} {evidence.other_name} {evidence.other_url}")
            if evidence.passage:
                lines.append(
                    fill(evidence.passage, 100, initial_indent="    | ", subsequent_indent="    | ")
                )
        yield terminal_text("\n".join(lines)) + "\n" + ("\n" if several else "")

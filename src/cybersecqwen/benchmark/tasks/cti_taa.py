r"""CTI-TAA: attribute a threat report to its actor (CTI-Bench, arXiv:2406.07599).

prompt    You are given a threat report that describes a cyber incident. […]
gold      APT36
response  Transparent Tribe\nThe lures and the Crimson RAT point to it.

An answer is correct where a chain of aliases leads from it to the gold, and plausible where a
chain of aliases and related groups does; a correct one is plausible too. The authors' graphs
hold a literal "nan", an empty cell of theirs, which joins groups that have nothing to do with
each other. The published metric keeps it, and `plausible_without_nan` says what it adds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path

from cybersecqwen.benchmark.tasks.cti_bench import CTI_BENCH
from cybersecqwen.benchmark.tasks.lenient import IN_RUNNING_TEXT, Reading
from cybersecqwen.benchmark.tasks.task import (
    NO_ANSWER,
    Extraction,
    Extractor,
    Marks,
    Metric,
    Task,
)
from cybersecqwen.formats.tsv import read_rows
from cybersecqwen.prompts import FAITH
from cybersecqwen.records import Item
from cybersecqwen.sources.threat_actors import (
    GOLD_FILE,
    GRAPH_FILE,
    TASK_FILE,
    ThreatActors,
    read_golds,
    read_threat_actors,
)

_NAMED = re.compile(r"threat actor\W*?[:\n]\s*([^\n]+)", re.IGNORECASE)
_FAITH = re.compile(r"threat actor:\s+((?:[\w-]+ )*[\w-]+)\b", re.IGNORECASE)
_BOLD = re.compile(r"\*\*(.+?)\*\*")
_A_NAME = 6  # words at most, for a whole response or line to be taken for a name
_NAN = "nan"


class Judge:
    """Reads and marks names by the alias and the related graph."""

    def __init__(self, actors: ThreatActors) -> None:
        self._actors = actors

    @cached_property
    def _alias(self) -> dict[str, int]:
        return _components([self._actors.aliases])

    @cached_property
    def _related(self) -> dict[str, int]:
        return _components([self._actors.aliases, self._actors.related])

    @cached_property
    def _without_nan(self) -> dict[str, int]:
        return _components([self._actors.aliases, self._actors.related], leave_out=_NAN)

    @cached_property
    def _mention(self) -> re.Pattern[str]:
        """Match any known name in running text, however its parts are joined."""
        names = sorted(self._related.keys() - {_NAN, ""}, key=lambda name: (-len(name), name))
        forms = (r"[\s_-]*".join(map(re.escape, re.findall(r"[^\W\d_]+|\d+", n))) for n in names)
        return re.compile(rf"\b(?:{'|'.join(form for form in forms if form)})\b", re.IGNORECASE)

    @cached_property
    def _spelled(self) -> dict[str, str]:
        """Return the graph's spelling of a name by its letters and digits alone."""
        return {_letters(name): name for name in sorted(self._related, reverse=True)}

    def named_actor(self, text: str) -> Extraction:
        """Take the name after `threat actor:`, a bare name, or the first known name in the text.

        Names in bold are looked at before the rest.
        """
        text = text.strip()
        said = _NAMED.findall(text)
        bare = text if "\n" not in text and len(text.split()) <= _A_NAME else ""
        for name in (*said[-1:], bare):
            if name.strip(" *_`.[]"):
                return Extraction(self._known(name) or name.strip(" *_`.[]").lower())
        places = (*_BOLD.findall(text), text)
        actor = next((name for name in map(self._known, places) if name), None)
        return Extraction(actor, proper=False) if actor else NO_ANSWER

    def _known(self, text: str) -> str | None:
        if text.strip().lower() in self._related:
            return text.strip().lower()
        mention = self._mention.search(text)
        return self._spelled.get(_letters(mention.group())) if mention else None

    def mark(self, item: Item, answer: str) -> Marks:
        """Mark whether the answer is correct, and whether it is plausible."""
        correct = _connected(self._alias, item.gold, answer)
        plausible = correct or _connected(self._related, item.gold, answer)
        without = correct or _connected(self._without_nan, item.gold, answer)
        return {
            "correct": float(correct),
            "plausible": float(plausible),
            "plausible_without_nan": float(without),
        }


def faith_actor(text: str) -> Extraction:
    """Take a unique `Threat Actor: NAME` (FAITH 0.3.2).

    FAITH's own pattern ends at a hyphen, so that the gold APT-C-36 could never be given.
    """
    names = {name.strip().lower() for name in _FAITH.findall(text)}
    return Extraction(names.pop()) if len(names) == 1 else NO_ANSWER


def _letters(name: str) -> str:
    return re.sub(r"[\W_]", "", name.lower())


def _connected(component: Mapping[str, int], gold: str, answer: str) -> bool:
    gold, answer = gold.strip().lower(), answer.strip().lower()
    return gold == answer or (gold in component and component[gold] == component.get(answer))


def _components(
    graphs: Iterable[Mapping[str, Iterable[str]]], *, leave_out: str = ""
) -> dict[str, int]:
    """Map each name to the number of its connected component in the union of the graphs."""
    neighbours: dict[str, set[str]] = {}
    for graph in graphs:
        for name, others in graph.items():
            for other in others:
                if leave_out not in (name, other) or not leave_out:
                    neighbours.setdefault(name, set()).add(other)
                    neighbours.setdefault(other, set()).add(name)
    component: dict[str, int] = {}
    for number, start in enumerate(neighbours):
        reached = [start]
        while reached:
            name = reached.pop()
            if name not in component:
                component[name] = number
                reached.extend(neighbours[name])
    return component


def faith_prompt(item: Item) -> str:
    """Write FAITH's prompt."""
    return FAITH["cti-taa"].format(text=item.text.strip())


def read(path: Path) -> tuple[Item, ...]:
    """Read the items; a gold is "" where the file of golds beside it is absent."""
    rows = read_rows(path, ("URL", "Text", "Prompt"), tip=f"get it with: {CTI_BENCH.fetch}")
    golds = read_golds(path.parent, rows) or [""] * len(rows)
    return tuple(
        Item("cti-taa", index, cells["Prompt"], gold, cells["URL"], cells["Text"])
        for index, ((_, cells), gold) in enumerate(zip(rows, golds, strict=True))
    )


def open_task(folder: Path) -> Task:
    """Make the task that judges by the graphs of a folder; raises InputError without them."""
    return task(read_threat_actors(folder))


def task(actors: ThreatActors) -> Task:
    """Make the task that judges by these graphs."""
    judge = Judge(actors)
    return Task(
        name="cti-taa",
        summary="attribute a threat report to its actor",
        suite=CTI_BENCH,
        file=TASK_FILE,
        read=read,
        placeholder=Item("cti-taa", 0, "", "NAME", text="TEXT"),
        prompts={"faith": faith_prompt},
        extractors={
            "named-actor": Extractor(
                "name after `threat actor:`, a bare name, or the first name known to the graphs",
                judge.named_actor,
                ("item", "faith"),
            ),
            "answer-actor": Extractor(
                "a unique `Threat Actor: NAME`", faith_actor, ("faith",), protocols=("faith",)
            ),
        },
        lenient=lambda item, text: Reading(judge.named_actor(text).answer, IN_RUNNING_TEXT),
        mark=judge.mark,
        metrics={
            "plausible_rate": Metric(
                "correct or plausible answers over all items", {"plausible": 1.0}, {"asked": 1.0}
            ),
            "plausible_without_nan": Metric(
                "the same, without the literal nan that joins unrelated groups in the graphs",
                {"plausible_without_nan": 1.0},
                {"asked": 1.0},
            ),
        },
        answered=lambda gold, prompt: gold if prompt == "item" else f"Threat Actor: {gold}",
        free_text=True,
        gold_file=GOLD_FILE,
        judging_files=(GRAPH_FILE,),
        open=open_task,
    )


TASK = task(ThreatActors({}, {}))

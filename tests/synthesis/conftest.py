"""The knowledge that ships, the sample's records, and a recipe that asks for a few pairs."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from cybersecqwen.benchmark.tasks import read_benchmark
from cybersecqwen.config import Recipe, load_recipe
from cybersecqwen.cwe.catalogue import load_catalogue
from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.records import Item, Vulnerability
from cybersecqwen.sample import BENCHMARK, FEED
from cybersecqwen.sources import read_vulnerabilities
from cybersecqwen.synthesis.build import SynthesisInputs
from cybersecqwen.synthesis.facts import FactBase
from cybersecqwen.synthesis.pair import CVE_TEXT, Draft, Grounding
from cybersecqwen.synthesis.record_facts import collect_records
from cybersecqwen.synthesis.record_questions import QuestionWriter
from engines.conftest import server

__all__ = ["server"]  # a real server that stands for a teacher

TEXT = (
    "SQL injection in the get_user() function of Foo Server before 2.4.1 allows remote attackers "
    "to execute arbitrary SQL commands."
)
# A benchmark that no pair of a test overlaps with.
UNRELATED = {"cti-taa": (Item("cti-taa", 0, "", "", text="A report about quite another thing."),)}


@pytest.fixture(scope="session")
def base() -> FactBase:
    return FactBase.of([], KnowledgeIndex.load())


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    settings = ("synthesis.pairs=120", "synthesis.choices=0.5", "synthesis.shares.component=0.2")
    return load_recipe("smoke", overrides=(*settings, "training.max_length=2048", "corpus.seed=42"))


@pytest.fixture(scope="session")
def sources(base: FactBase) -> Callable[..., SynthesisInputs]:
    """Return the sample's inputs, anew for each build: its records are read once."""

    def make(**others: object) -> SynthesisInputs:
        given = {
            "vulnerabilities": read_vulnerabilities(FEED),
            "benchmark": read_benchmark(BENCHMARK),
            "catalogue": load_catalogue(),
            "base": base,
            "checksums": {"benchmark": {}},
        }
        return SynthesisInputs(**(given | others))  # type: ignore[arg-type]

    return make


@pytest.fixture
def ask(base: FactBase, recipe: Recipe) -> Callable[..., QuestionWriter]:
    """Return a writer of questions about one record, beside those of the sample."""

    def make(text: str, cwe: str = "CWE-89", vector: str = "") -> QuestionWriter:
        one = Vulnerability(
            "CVE-2021-99999", "2021-05-01", text, cwe_nvd=(cwe,), cvss3_vector=vector or None
        )
        others = [
            Vulnerability(f"CVE-2021-8888{n}", "", f"A flaw in the {name}() function of a product.")
            for n, name in enumerate(("read_a", "read_b", "read_c", "read_d"))
        ]
        records = [one, *others, *read_vulnerabilities(FEED)]
        catalogue = load_catalogue()
        facts = collect_records(records, recipe.corpus, catalogue, held_out=frozenset())
        return QuestionWriter(facts, base, catalogue, random.Random(1))

    return make


@pytest.fixture
def draft() -> Callable[..., Draft]:
    """Make a sound draft about one description, changed where a test says so."""

    def make(**changes: object) -> Draft:
        whole: dict[str, object] = {
            "kind": "component",
            "topic": "component",
            "subject": "CVE-2021-99999",
            "question": f"Which function is named as affected? {TEXT}",
            "answer": "The description names the function get_user().",
            "grounding": (Grounding(CVE_TEXT, "CVE-2021-99999", TEXT),),
            "support": ("get_user()",),
        }
        return Draft(**(whole | changes))  # type: ignore[arg-type]

    return make

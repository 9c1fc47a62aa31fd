"""The console on a small application of its own, as whoever the test says."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.testclient import TestClient

from cybersecqwen.analyst.classification import Classification, Given, classify
from cybersecqwen.analyst.classifiers import open_classifier
from cybersecqwen.analyst.questions import Question
from cybersecqwen.records import Answer, Evidence
from cybersecqwen.service.authentication import Visit
from cybersecqwen.service.console import router
from cybersecqwen.service.console.page import Figures
from cybersecqwen.service.database import Database, open_database
from cybersecqwen.service.imports import Importer
from cybersecqwen.service.problems import ProblemError
from cybersecqwen.service.reviews import Actor
from cybersecqwen.service.settings import ServiceSettings
from cybersecqwen.service.tables import Record

from ..conftest import ANA, add_texts

TOKEN = "the-token"


class Questions:
    """Stands for the model: it remembers what it was asked, and answers that."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, tuple[str, ...]]] = []

    async def ask(
        self, question: Question, *, about: Sequence[str] = ()
    ) -> tuple[Answer, tuple[str, ...]]:
        self.asked.append((question.text, tuple(about)))
        rests = Evidence(
            "T1059",
            "<b>Shell</b>",
            "technique",
            "description",
            "https://a.example",
            1.0,
            other="M1042",
            other_name="<i>Removal</i>",
            other_url="https://b.example",
        )
        return Answer(f"about {question.text}", 0.9, True, (rests,)), ("T1059",)

    async def classify(self, given: Sequence[Given], *, top: int = 3) -> list[Classification]:
        return list(classify(given, top=top))


class Console:
    """A browser without scripts: it follows links and sends forms with their token."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self.client = TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=True)
        self.actor: Actor | None = ANA

    @property
    def database(self) -> Database:
        database: Database = self.app.state.database
        return database

    def get(self, path: str) -> Any:
        return self.client.get(path)

    def post(self, path: str, *, follow: bool = True, **fields: Any) -> Any:
        data = {"csrf": TOKEN, **fields}
        files = data.pop("file", None)
        sent = {"file": files} if files else None
        return self.client.post(path, data=data, files=sent, follow_redirects=follow)

    def add(self, *given: Given) -> None:
        add_texts(self.app.state.importer, given)

    def record(self, name: str) -> Record:
        with self.database.read() as session:
            held: Record = session.query(Record).filter_by(name=name).one()
            return held

    def version(self, name: str) -> str:
        return str(self.record(name).version)


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an empty database once, for the tests to copy."""
    path = tmp_path_factory.mktemp("empty") / "workplace.sqlite"
    open_database(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def console(empty: Path, tmp_path: Path) -> Iterator[Console]:
    app = FastAPI()
    state = app.state
    state.settings = ServiceSettings(folder=tmp_path)
    shutil.copy(empty, tmp_path)
    state.database = open_database(state.settings.database_url)
    state.importer = Importer(
        state.database,
        classifier=open_classifier(),
        engine="embedded",
        artifact="0" * 64,
        threshold=0.3,
    )
    state.inference, state.figures = Questions(), Figures(seconds=0)
    app.include_router(router)
    browser = Console(app)
    state.visit = lambda _request: Visit(browser.actor, TOKEN) if browser.actor else None
    state.check_form = _check
    state.start_import = state.importer.finish
    yield browser
    state.database.close()


def _check(_request: Request, token: object) -> None:
    if token != TOKEN:
        raise ProblemError(403, "the form is out of date: load the page again")


TEXT = "SQL injection in login.php of Foo 1.2 allows remote attackers to read the database."


@pytest.fixture
def filled(console: Console) -> Console:
    console.add(*(Given(f"CVE-2030-{number}", TEXT) for number in range(1001, 1006)))
    return console


def visible(html: str) -> str:
    """Return the words of a page, without tags and with single spaces."""
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())

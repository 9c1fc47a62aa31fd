"""Webhooks: who is told what, signed, until it is delivered, and never into a private network."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select, update

from cybersecqwen.analyst.classification import Given
from cybersecqwen.errors import InputError
from cybersecqwen.records import AffectedProduct, Cvss, Vulnerability
from cybersecqwen.service.audit_trail import events
from cybersecqwen.service.database import Database
from cybersecqwen.service.delivery import Message, Sender, deliver_due, signature
from cybersecqwen.service.imports import Importer
from cybersecqwen.service.keyring import VARIABLE, open_keyring
from cybersecqwen.service.reviews import Actor, ForbiddenError
from cybersecqwen.service.tables import Delivery, Webhook
from cybersecqwen.service.webhooks import add_webhook, emit, remove_webhook, rotate_secret

from .conftest import ANA, add_texts

CHIEF = Actor("chief", "administrator")
HOOK = "https://soc.example/hook"
V31 = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
FOLDER = Path("none")  # of a file of keys, in whose place is an environment variable
sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, Fernet.generate_key().decode())


def given(name: str, text: str, *, vector: str = "", product: str = "") -> Given:
    record = Vulnerability(
        name,
        "2030-01-01",
        text,
        cvss=(Cvss("nvd", "3.1", vector),) if vector else (),
        affected=(AffectedProduct("acme", product),) if product else (),
    )
    return Given(name, text, record=record)


def hook(database: Database, url: str = HOOK, private: bool = False, **how: Any) -> str:
    with database.write() as session:
        options = {"events": ["new-cve"], "keyring": open_keyring(FOLDER)} | how
        return add_webhook(session, url, actor=CHIEF, private=private, **options)[1]


def waiting(database: Database) -> list[Delivery]:
    with database.read() as session:
        return list(session.scalars(select(Delivery).order_by(Delivery.id)))


def make_due(database: Database) -> None:
    with database.write() as session:
        session.execute(update(Delivery).values(next_at="2000-01-01T00:00:00.000Z"))


def test_who_is_told_of_which_records(importer: Importer) -> None:
    database = importer.database
    hook(database, condition={"products": ["open ssl", "Foo"], "min_severity": 7})
    hook(database, events=["below-threshold"])
    hook(database, events=["drift-alarm"])
    records = [
        given("CVE-2030-1001", "SQL injection in login.php of foo.", vector=V31),
        given("CVE-2030-1002", "SQL injection in login.php of Foobar.", vector=V31),
        given("CVE-2030-1003", "SQL injection in login.php of Foo."),
        given("CVE-2030-1004", "An issue in Open  SSL has an impact.", vector=V31),
        given("CVE-2030-1005", "SQL injection in login.php.", vector=V31, product="open_ssl"),
        given("CVE-2030-1006", "SQL injection, as in Foo.", vector=V31, product="Bar"),
    ]
    add_texts(importer, records)
    first, second = waiting(database)
    told = [f"CVE-2030-100{number}" for number in (1, 4, 5)]
    assert [one["id"] for one in first.body["records"]] == told
    told = first.body["records"][0]
    assert (told["suggested"], told["severity"]) == ("CWE-89", 9.8)
    assert (second.event, [one["id"] for one in second.body["records"]]) == (
        "below-threshold",
        ["CVE-2030-1004"],
    )
    add_texts(importer, records)
    assert len(waiting(database)) == 2


@sqlite
@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://169.254.169.254/latest",
        "http://192.168.1.1:8080/",
        "http://localhost:8080/",
        "http://0.0.0.0/",
        "ftp://soc.example/",
        "https://ana:secret@soc.example/",
        "https:///hook",
        "http://soc.example:99999/",
    ],
)
def test_an_address_that_is_private_or_none_is_refused(url: str, database: Database) -> None:
    with pytest.raises(InputError) as raised:
        hook(database, url)
    assert "secret" not in str(raised.value).replace("the signature", "")


@sqlite
def test_who_may_add_one_and_what_the_trail_says(database: Database) -> None:
    with database.write() as session, pytest.raises(ForbiddenError):
        rex = Actor("rex", "resolver")
        add_webhook(session, HOOK, events=["new-cve"], actor=rex, keyring=open_keyring(FOLDER))
    for how in (
        {"events": []},
        {"events": ["all"]},
        {"condition": {"products": "foo"}},
        {"condition": {"min_severity": 70}},
        {"condition": {"size": 3}},
    ):
        with pytest.raises(InputError):
            hook(database, **how)
    secret = hook(database, HOOK + "?token=abc")
    with database.read() as session:
        [event] = events(session)
    assert (event.actor, event.subject) == ("chief", "soc.example")
    assert secret not in event.details and "abc" not in event.details


@sqlite
def test_another_secret_signs_what_waits_and_the_trail_says_who_made_it(database: Database) -> None:
    old = hook(database)
    with database.write() as session:
        emit(session, "new-cve", {"records": []})
    with database.write() as session:
        webhook = session.scalars(select(Webhook)).one()
        with pytest.raises(ForbiddenError):
            rotate_secret(session, webhook, actor=ANA, keyring=open_keyring(FOLDER))
        new = rotate_secret(session, webhook, actor=CHIEF, keyring=open_keyring(FOLDER))
    sent: list[Message] = []
    deliver_due(database, FOLDER, send=lambda message: sent.append(message) or "")
    assert [message.secret for message in sent] == [new] and new != old
    with database.read() as session:
        [_, event] = events(session)
    assert (event.actor, event.action, event.subject) == ("chief", "rotate secret", "soc.example")
    assert new not in event.details


def test_a_message_is_sent_again_with_growing_pauses_and_given_up(database: Database) -> None:
    hook(database)
    with database.write() as session:
        assert emit(session, "new-cve", {"records": []}) == 1
    answers = iter([*["it answers 500"] * 13, "at last"])
    sent: list[Message] = []

    def send(message: Message) -> str:
        sent.append(message)
        return next(answers)

    pauses = []
    for _ in range(20):
        before = len(sent)
        assert deliver_due(database, FOLDER, send=send) == 0
        if len(sent) == before:
            break
        [one] = waiting(database)
        pauses.append(one.next_at)
        assert deliver_due(database, FOLDER, send=send) == 0  # nothing is due yet
        make_due(database)
    assert len(sent) == 14
    assert len({message.content for message in sent}) == 1
    [one] = waiting(database)
    assert (one.attempts, one.error, one.delivered_at) == (14, "at last", "")


def test_what_a_killed_process_was_sending_is_sent_by_another(database: Database) -> None:
    hook(database)
    with database.write() as session:
        emit(session, "new-cve", {"records": []})
    sent: list[Message] = []

    def killed(message: Message) -> str:
        sent.append(message)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        deliver_due(database, FOLDER, send=killed)
    assert deliver_due(database, FOLDER, send=lambda m: sent.append(m) or "") == 0  # still claimed
    make_due(database)
    assert deliver_due(database, FOLDER, send=lambda m: sent.append(m) or "") == 1
    assert sent[0].content == sent[1].content
    assert deliver_due(database, FOLDER, send=killed) == 0


@sqlite
def test_a_slow_address_holds_no_message_but_its_own(database: Database) -> None:
    hook(database)
    with database.write() as session:
        for number in range(2):
            emit(session, "new-cve", {"records": [number]})
    sent: list[tuple[str, int]] = []

    def slow(message: Message) -> str:
        sent.append(("slow", message.delivery))
        deliver_due(
            database, FOLDER, send=lambda other: sent.append(("other", other.delivery)) or ""
        )
        return ""

    first, second = (one.id for one in waiting(database))
    assert deliver_due(database, FOLDER, send=slow) == 1
    assert sent == [("slow", first), ("other", second)]


@sqlite
def test_a_removed_webhook_is_told_nothing(database: Database) -> None:
    hook(database)
    with database.write() as session:
        emit(session, "new-cve", {})
        [one] = session.scalars(select(Delivery))
        remove_webhook(session, session.get_one(Webhook, one.webhook_id), actor=CHIEF)
        assert emit(session, "new-cve", {}) == 0
    assert deliver_due(database, FOLDER, send=lambda _: "") == 0


class _Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, dict(self.headers), body))
        self.send_response(302 if self.path == "/away" else 204)
        if self.path == "/away":
            self.send_header("Location", "/hook")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Receiver)
    server.got = []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@sqlite
def test_a_receiver_can_check_who_sent_it(
    database: Database, receiver: ThreadingHTTPServer
) -> None:
    at = f"http://127.0.0.1:{receiver.server_port}"
    secret = hook(database, f"{at}/hook", private=True)
    hook(database, f"{at}/away", private=True)
    with database.write() as session:
        emit(session, "new-cve", {"records": [{"id": "CVE-2030-1001"}]})
    assert deliver_due(database, FOLDER, private=True) == 1
    [(path, headers, body), (away, *_)] = receiver.got
    assert (path, away) == ("/hook", "/away")  # and no third one: redirections are not followed
    assert headers["X-Hub-Signature-256"] == signature(secret, body)
    assert headers["X-CyberSecQwen-Event"] == "new-cve"
    assert json.loads(body)["records"] == [{"id": "CVE-2030-1001"}]
    assert json.loads(body)["id"] == int(headers["X-CyberSecQwen-Delivery"])
    assert [one.error for one in waiting(database)] == ["", "it answers 302"]


def test_a_name_that_leads_into_a_private_network_is_refused(
    receiver: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolve(host: str, port: int, **_: object) -> list[Any]:
        assert host == "soc.example"
        return [(0, 0, 0, "", (number, port)) for number in ("93.184.216.34", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    url = f"http://soc.example:{receiver.server_port}/hook"
    said = Sender()(Message(1, url, "secret", "new-cve", {}, 0))
    assert "soc.example is this machine or in a private network" in said
    assert receiver.got == []

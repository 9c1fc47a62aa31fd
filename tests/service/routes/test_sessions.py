"""A service with accounts: nobody gets in without one, and nobody does more than they may."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

from cybersecqwen.service import accounts
from cybersecqwen.service.accounts import add_key, add_user, revoke_key
from cybersecqwen.service.app import create_app
from cybersecqwen.service.authentication import COOKIE
from cybersecqwen.service.rate_limit import RateLimit
from cybersecqwen.service.reviews import Actor
from cybersecqwen.service.routes import sessions
from cybersecqwen.service.settings import ServiceSettings

CHIEF = Actor("chief", "administrator")
PASSWORD = "five words are enough here"
TEXT = {"text": "SQL injection in login.php."}


@pytest.fixture
def team(tmp_path: Path) -> Iterator[TestClient]:
    settings = ServiceSettings(folder=tmp_path, host="0.0.0.0", names=("cti.example.org",))
    app = create_app(settings)
    with TestClient(app, base_url="https://cti.example.org", follow_redirects=False) as client:
        with app.state.database.write() as session:
            add_user(session, "ana", PASSWORD, role="reviewer", actor=CHIEF)
            add_user(session, "ron", PASSWORD, role="reader", actor=CHIEF)
        yield client


def key(client: TestClient, user: str, *scopes: str) -> dict[str, str]:
    with client.app.state.database.write() as session:  # type: ignore[attr-defined]
        made = add_key(session, f"{user} {scopes}", user=user, scopes=scopes, actor=CHIEF)
    return {"authorization": f"Bearer {made}"}


def log_in(client: TestClient, password: str = PASSWORD, target: str = "") -> int:
    token = client.app.state.login_token(None)  # type: ignore[attr-defined]
    form = {"name": "ana", "password": password, "csrf": token, "next": target}
    answer = client.post("/login", data=form)
    if answer.status_code == 303:
        client.headers["x-went-to"] = answer.headers["location"]
    return answer.status_code


def test_nobody_gets_in_without_a_key_or_session(team: TestClient) -> None:
    schema = team.get("/openapi.json").json()
    tried = 0
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            if path.startswith("/v1/"):
                url = re.sub(r"\{\w+\}", "1", path)
                answer = team.request(method, url, json={}, params={"format": "csv"})
                assert answer.status_code == 401, (method, path, answer.text)
                assert answer.headers["www-authenticate"] == "Bearer"
                assert "401" in operation["responses"]
                tried += 1
    assert tried >= 14
    wrong = {"authorization": "Bearer csq_made-up"}
    assert team.post("/v1/classify", json=TEXT, headers=wrong).status_code == 401
    assert team.get("/health").status_code == 200


def test_a_key_does_what_its_scopes_and_its_user_may(team: TestClient) -> None:
    classify = key(team, "ana", "classify")
    assert team.post("/v1/classify", json=TEXT, headers=classify).status_code == 200
    refused = team.get("/v1/records", headers=classify)
    assert (refused.status_code, "scope records" in refused.text) == (403, True)
    reader = key(team, "ron", "records", "reviews")
    assert team.get("/v1/records", headers=reader).status_code == 200
    assert team.post("/v1/records", json=[TEXT], headers=reader).status_code == 403
    assert team.post("/v1/reviews/undo", headers=reader).status_code == 403


def test_a_revoked_key_is_refused_once_what_is_held_is_old(team: TestClient) -> None:
    classify = key(team, "ana", "classify")
    assert team.post("/v1/classify", json=TEXT, headers=classify).status_code == 200
    with team.app.state.database.write() as session:  # type: ignore[attr-defined]
        revoke_key(session, "ana ('classify',)", actor=CHIEF)
    held = team.app.state.authentication._keys._values  # type: ignore[attr-defined]
    for name, (_, value) in list(held.items()):
        held[name] = (0.0, value)
    assert team.post("/v1/classify", json=TEXT, headers=classify).status_code == 401


def test_a_session_begins_by_a_form_and_ends(team: TestClient) -> None:
    assert log_in(team, target="/queue?state=open") == 303
    assert team.headers.pop("x-went-to") == "/queue?state=open"
    [cookie] = [one for one in team.cookies.jar if one.name == COOKIE]
    assert cookie.secure
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert cookie.get_nonstandard_attr("SameSite") == "strict"
    assert team.get("/v1/records").status_code == 200
    assert team.post("/v1/classify", json=TEXT).status_code == 403  # without the token
    token = {"x-csrf-token": team.app.state.visit(_request(team)).csrf}  # type: ignore[attr-defined]
    assert team.post("/v1/classify", json=TEXT, headers=token).status_code == 200
    assert team.post("/logout", data={"csrf": "wrong"}).status_code == 403
    secret = team.cookies[COOKIE]
    assert team.post("/logout", data={"csrf": token["x-csrf-token"]}).status_code == 303
    team.cookies.set(COOKIE, secret, domain="cti.example.org")
    assert team.get("/v1/records").status_code == 401


def _request(client: TestClient) -> object:
    cookie = f"{COOKIE}={client.cookies[COOKIE]}".encode()
    scope = {"type": "http", "headers": [(b"cookie", cookie)], "app": client.app}
    return Request(scope)


def test_a_login_without_its_token_or_with_a_foreign_target_goes_nowhere(team: TestClient) -> None:
    form = {"name": "ana", "password": PASSWORD}
    assert team.post("/login", data=form).status_code == 403
    for target in ("//evil.example", "https://evil.example", "/\\evil.example", "javascript:1"):
        assert sessions._own_page(target) == "/"


def test_others_write_while_a_password_is_checked(
    team: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasher = accounts._hasher()

    def verify(held: str, password: str) -> bool:
        key(team, "ron", "classify")
        return hasher.verify(held, password)

    slow = SimpleNamespace(verify=verify, hash=hasher.hash)
    monkeypatch.setattr(accounts, "_hasher", lambda: slow)
    assert log_in(team) == 303


def test_a_key_that_is_known_needs_no_database(team: TestClient) -> None:
    classify = key(team, "ana", "classify")
    assert team.post("/v1/classify", json=TEXT, headers=classify).status_code == 200
    header = b"authorization", classify["authorization"].encode()
    scope = {"type": "http", "headers": [header], "app": team.app}
    assert team.app.state.authentication.is_known(Request(scope))  # type: ignore[attr-defined]


def test_passwords_cannot_be_tried_at_will(team: TestClient) -> None:
    limit = RateLimit(rate=0.001, burst=2)
    team.app.state.login_limit = limit  # type: ignore[attr-defined]
    assert [log_in(team, password="wrong") for _ in range(3)] == [401, 401, 429]
    assert log_in(team) == 429

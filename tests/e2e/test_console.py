"""The console in a browser, against the real service: by keyboard alone, dropped files, axe."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

pytestmark = pytest.mark.slow

PAGES = (
    "/queue",
    "/records/1",
    "/ask",
    "/imports",
    "/imports/1",
    "/dashboard",
    "/dashboard/drift",
    "/audit-trail",
    "/help",
    "/login",
)
PREVIEW = "bulk preview"  # of which there is no address
ROWS = b"""\
{"id": "CVE-2030-1001", "text": "SQL injection in login.php of Foo allows reading the database."}
{"id": "CVE-2030-1002", "text": "Path traversal in the download of Foo lets users read any file."}
{"id": "CVE-2030-1003", "text": "Cross-site scripting in the comment field of Foo."}
{"id": "CVE-2030-1004"}
"""
DROP = """([name, text]) => {
    const data = new DataTransfer();
    data.items.add(new File([text], name));
    for (const type of ["dragenter", "dragover", "drop"])
        document.querySelector("#drop").dispatchEvent(
            new DragEvent(type, {dataTransfer: data, bubbles: true, cancelable: true}));
}"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start the service on a free port, with an empty database."""
    uvicorn = pytest.importorskip("uvicorn")
    from cybersecqwen.service.app import create_app
    from cybersecqwen.service.settings import ServiceSettings

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("workplace")
    app = create_app(ServiceSettings(folder=folder, port=port))
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Start one browser for all tests."""
    sync_api = pytest.importorskip("playwright.sync_api")
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if not program:
        pytest.skip("Chromium is not installed")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """Open a page whose script may not fail and whose policy may not be broken."""
    context = browser.new_context(base_url=address, viewport={"width": 1280, "height": 900})
    opened, said = context.new_page(), []
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("console", lambda one: said.append(one.text) if _is_ours(one) else None)
    yield opened
    context.close()
    assert said == []


def _is_ours(message: Any) -> bool:
    """Tell whether a message is an error of the page, not an answer such as 409."""
    return message.type == "error" and not message.text.startswith("Failed to load resource")


def test_dropped_files_are_imported_with_progress(page: Any) -> None:
    page.goto("/imports")
    page.evaluate(DROP, ["feed.jsonl", ROWS.decode()])
    page.wait_for_selector("[data-import='1'] .import-done")
    counts = page.locator("[data-import='1'] [data-count]").all_inner_texts()
    assert counts == ["done", "3", "0", "0", "1"]
    page.click("text=feed.jsonl")
    assert "feed.jsonl:4: no text" in page.inner_text("main")


def test_a_review_by_keyboard_alone(page: Any) -> None:
    page.goto("/queue?order=newest")

    def press(*keys: str) -> None:
        for key in keys:
            page.keyboard.press(key)

    def heading() -> str:
        page.wait_for_load_state()
        text: str = page.inner_text("h1")
        return text

    press("?")
    assert page.is_visible("#keys")
    press("Escape", "j", "j", "k", "x")
    assert page.locator("tbody .select input:checked").count() == 1
    press("Enter")
    page.wait_for_url("**/records/3?**")
    press("a")  # accepts CWE-79, and the next record comes
    page.wait_for_url("**/records/2?**")
    assert "CVE-2030-1003: accepted CWE-79." in page.inner_text(".notice.good")
    press("c")
    page.keyboard.type("sql inj")
    page.wait_for_selector(".choices .active")
    press("ArrowDown", "ArrowUp", "Enter")
    assert page.input_value("#cwe") == "CWE-89"
    press("Enter")  # on the button that corrects
    page.wait_for_url("**/records/1?**")
    press("m")
    page.keyboard.type("is it reachable?")
    press("Control+Enter")
    page.wait_for_selector(".comments li")
    page.wait_for_load_state()
    press("r")
    page.wait_for_url("**done=**")
    press("u")
    page.wait_for_selector(".state-open")
    assert heading() == "CVE-2030-1001"
    press("g", "q")
    page.wait_for_url("**/queue")
    assert page.locator(".row-link").all_inner_texts() == ["CVE-2030-1001"]


def test_a_stale_verdict_is_told_and_the_note_stays(page: Any) -> None:
    page.goto("/records/1")
    page.fill("#note", "half a thought")
    page.evaluate("document.querySelector('[name=version]').value = '1'")
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    page.wait_for_selector("[role=alert]")
    assert "it has changed meanwhile" in page.inner_text("[role=alert]")
    assert page.input_value("#note") == "half a thought"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_has_nothing_serious_and_no_page_is_too_wide(
    browser: Any, address: str, scheme: str
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    context = browser.new_context(
        base_url=address, color_scheme=scheme, viewport={"width": 820, "height": 1100}
    )
    opened, said = context.new_page(), []
    for path in (*PAGES, PREVIEW):
        if path == PREVIEW:
            opened.goto("/queue?state=any")
            opened.check("#every")
            with opened.expect_navigation():
                opened.click("button[value=correct]")
        else:
            opened.goto(path)
        wide = opened.evaluate("document.documentElement.scrollWidth > innerWidth")
        bad = [
            (one["id"], one["nodes"][0]["html"])
            for one in axe.run(opened).response["violations"]
            if one["impact"] in ("serious", "critical")
        ]
        said += [(path, wide, bad)] if wide or bad else []
    context.close()
    assert said == []

"""Take the README's screenshots of the console, from the sample data: python docs/screenshots.py

It starts the service on a database of its own, needs Chromium, Playwright and Pillow, and writes
docs/images/queue.png and record.png.
"""

from __future__ import annotations

import io
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from cybersecqwen.sample import FEED
from cybersecqwen.service.app import create_app
from cybersecqwen.service.settings import ServiceSettings

IMAGES = Path(__file__).parent / "images"
SIZE = {"width": 1280, "height": 800}
INJECTIONS = "/queue?cwe=CWE-89&order=uncertainty"
COLOURS = 96  # of a palette, enough for flat pages


@contextmanager
def service(folder: Path) -> Iterator[str]:
    """Serve the console of an empty database."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    app = create_app(ServiceSettings(folder=folder, port=port, second_share=0.2))
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def fill(page: Page) -> None:
    """Import the sample, and accept some of it."""
    page.goto("/imports")
    page.set_input_files("#file", FEED)
    page.click("button.main")
    page.wait_for_selector(".import-done")
    page.goto(f"{INJECTIONS}&size=100")
    page.check("#every")
    page.uncheck("tbody .select input >> nth=12")
    page.click("button[value=accept]")
    page.click("button.main")
    page.wait_for_selector("text=records accepted")


def save(page: Page, name: str) -> None:
    """Write what the window shows, in few colours."""
    image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    IMAGES.mkdir(exist_ok=True)
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(IMAGES / name, optimize=True)
    print(f"{IMAGES / name}: {(IMAGES / name).stat().st_size / 1000:.0f} kB")


def main() -> None:
    """Take both."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    with (
        tempfile.TemporaryDirectory() as folder,
        service(Path(folder)) as address,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(base_url=address, viewport=SIZE, color_scheme="light")
        fill(page)
        page.goto("/queue?order=severity")
        page.keyboard.press("j")
        save(page, "queue.png")
        page.goto(INJECTIONS)
        page.click(".row-link >> nth=0")
        save(page, "record.png")
        browser.close()


if __name__ == "__main__":
    main()

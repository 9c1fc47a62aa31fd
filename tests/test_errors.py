"""What others wrote is made fit to show in one place, and no key is shown anywhere."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from cybersecqwen import errors
from cybersecqwen.cli import main
from cybersecqwen.cli.group import CleanFormatter
from cybersecqwen.errors import InputError, clean, keep_secret, redact

KEY = 'sk-live/0+"9\\'


@pytest.fixture(autouse=True)
def known() -> Iterator[None]:
    keep_secret(KEY)
    keep_secret("EMPTY")  # what servers without keys are given, and no key
    yield
    errors._KEYS.pop(KEY)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"a {KEY} b {KEY}", "a [key] b [key]"),
        (json.dumps(KEY), '"[key]"'),
        (json.dumps(KEY).replace("/", r"\/"), '"[key]"'),
        (json.dumps(KEY).replace("-", r"\u002D"), '"[key]"'),
        ("EMPTY", "EMPTY"),
        (KEY[:-1], KEY[:-1]),
    ],
)
def test_a_key_is_replaced_however_json_escapes_it(text: str, shown: str) -> None:
    assert redact(text) == clean(text) == shown


@pytest.mark.parametrize("control", ["\x1b[2J", "\x9b1m", "\u202e", "\u200b", "\x00", "\x7f", "\r"])
def test_what_steers_a_terminal_is_replaced_in_every_message(control: str, tmp_path: Path) -> None:
    steers = control[0]
    assert steers not in str(InputError(f"a{control}b", where=f"c{control}d", tip=f"e{control}f"))
    record = logging.LogRecord("n", logging.INFO, "p", 1, "%s", (f"a{control}b",), None)
    assert steers not in CleanFormatter("%(message)s").format(record)
    named = CliRunner().invoke(
        main, ["score", f"no{control}file" if steers != "\x00" else "nofile"]
    )
    assert steers not in named.stderr
    wrong = CliRunner().invoke(main, ["evaluate", "--model", f"no{control}model"])
    assert (wrong.exit_code, steers in wrong.stderr) == (2, False)


def test_lines_stay_lines() -> None:
    assert clean("a\nb") == "a\nb"

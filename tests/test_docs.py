"""The documentation says what the code does: transcripts, figures, links, file trees, commands."""

from __future__ import annotations

import doctest
import importlib.util
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

from cybersecqwen.cli import main
from cybersecqwen.contamination import RULES
from cybersecqwen.files import read_json
from cybersecqwen.reports.published import BASELINES, PUBLISHED

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "cybersecqwen"
README = ROOT / "README.md"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def blocks(page: Path, language: str) -> list[str]:
    """List the fenced blocks of one language."""
    return [text for name, text in _FENCE.findall(page.read_text("utf-8")) if name == language]


def transcripts() -> Iterator[tuple[str, str, str]]:
    """Yield page, command and output of every command in a `console` block."""
    for page, name in zip(PAGES, NAMES, strict=True):
        for block in blocks(page, "console"):
            for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
                command, _, output = part.partition("\n")
                yield name, command, output


@pytest.mark.parametrize(("page", "command", "output"), list(transcripts()))
def test_a_transcript_is_what_the_command_prints(page: str, command: str, output: str) -> None:
    program, *arguments = shlex.split(command)
    assert program == "cybersecqwen", page
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert result.stdout.rstrip() == output.rstrip()


def test_the_first_screen_has_a_transcript_and_a_python_session() -> None:
    assert blocks(README, "console")
    assert blocks(README, "pycon")


@pytest.mark.parametrize("name", NAMES)
def test_a_python_session_returns_what_it_shows(name: str) -> None:
    source = "\n".join(blocks(ROOT / name, "pycon"))
    test = doctest.DocTestParser().get_doctest(source, {}, name, name, 0)
    assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test).failed == 0


def figure(score: object, spread: float | None) -> str:
    """Write a published score as the README does."""
    if score is None:
        return ""
    return f"{score:.4f} ± {spread:.4f}" if spread else f"{score:.3f}"


def test_the_published_rows_are_those_of_every_comparison() -> None:
    text = README.read_text("utf-8").partition("## Results")[2].partition("\n## ")[0]
    rows = [[c.strip() for c in line.split("|")[1:-1]] for line in text.splitlines() if "|" in line]
    assert len(rows) > 20
    own = ("models/", "docs/lab/")
    for model, size, rcm, mcq, source in rows[2:]:
        measured = any(folder in source for folder in own)
        if "embedded" in model or model.startswith("Always") or measured:
            continue
        known = {
            (r.size, figure(r.cti_rcm, s and s[1]), figure(r.cti_mcq, s and s[0]))
            for r in (*PUBLISHED, *BASELINES)
            for s in [r.spread]
            if r.model == model and re.sub(r"[\[\]]", "", source).startswith(r.source.split(",")[0])
        }
        assert (size, rcm, mcq) in known, model


def test_the_figures_of_the_embedded_model_are_those_that_ship() -> None:
    results = {row["task"]: row for row in read_json(SOURCE / "data/benchmark.json")["results"]}
    unseen = results["cti-mcq"]["unseen"]
    row = next(line for line in README.read_text("utf-8").splitlines() if "ships in this" in line)
    assert f"**{results['cti-rcm']['strict_accuracy']:.3f}**" in row
    assert f"**{unseen['correct'] / unseen['items']:.3f}**" in row


def anchors(page: Path) -> set[str]:
    """Return the anchors that a page's headings get."""
    text = re.sub(_FENCE, "", page.read_text("utf-8"))
    titles = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", t.lower()).strip().replace(" ", "-") for t in titles}


@pytest.mark.parametrize("name", NAMES)
def test_a_link_leads_somewhere(name: str) -> None:
    page = ROOT / name
    for link in _LINK.findall(re.sub(_FENCE, "", page.read_text("utf-8"))):
        if re.match(r"https?:|mailto:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def reference() -> ModuleType:
    """Load docs/reference.py, which is no part of the package."""
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "reference.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_command_reference_is_current() -> None:
    module = reference()
    assert module.PAGE.read_text("utf-8") == module.page(), "run: python docs/reference.py"


def test_every_page_is_in_the_site() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text("utf-8")
    for page in (ROOT / "docs").rglob("*.md"):
        assert f" {page.relative_to(ROOT / 'docs')}\n" in f"{navigation}\n", page


@pytest.mark.slow
@pytest.mark.long
def test_the_site_builds_strictly_and_loads_nothing_from_other_hosts(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    pytest.importorskip("mkdocstrings")
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--quiet",
        "--site-dir",
        tmp_path,
    ]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    loaded = re.compile(
        r"""<(?:script|img|iframe)[^>]+src=["']?https?:|<link[^>]+stylesheet[^>]+https?:"""
    )
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 20
    assert [page for page in pages if loaded.search(page.read_text("utf-8"))] == []


def listed(page: str, after: str) -> list[str]:
    """List the names that the file tree of a page shows below src/cybersecqwen/."""
    [tree] = [b for b in blocks(ROOT / page, "text") if "src/cybersecqwen/" in b]
    below = tree.partition("src/cybersecqwen/\n")[2]
    return re.findall(after, below, flags=re.MULTILINE)


def rooms() -> set[str]:
    """Name the packages, and the modules beside them, as a file tree does."""
    packages = {f"{p.parent.relative_to(SOURCE)}/" for p in SOURCE.rglob("*/__init__.py")}
    return packages | {p.name for p in SOURCE.glob("*.py") if not p.name.startswith("__")}


def test_the_tree_of_the_design_names_every_room_and_no_other() -> None:
    shown = listed("docs/design.md", r"^  (\S+)")
    assert sorted(shown) == sorted(rooms() | {"data/"})


def test_the_tree_of_the_readme_names_rooms_that_are_there() -> None:
    shown = listed("README.md", r"^  (\S+)")
    assert len(shown) >= 10
    assert set(shown) <= rooms()


def test_the_layers_of_the_design_are_those_that_are_enforced() -> None:
    configured = (ROOT / "pyproject.toml").read_text("utf-8").partition("\nlayers = [")[2]
    layers = re.findall(r'"(.*)"', configured.partition("]")[0])
    [shown] = [b for b in blocks(ROOT / "docs/design.md", "text") if "cli → " in b]
    assert " ".join(shown.split()).split(" → ") == layers


def test_the_audit_page_defines_every_rule() -> None:
    page = (ROOT / "docs" / "audit.md").read_text("utf-8")
    assert re.findall(r"^\| `([a-z-]+)` \|", page, flags=re.MULTILINE)[: len(RULES)] == list(RULES)


def test_the_threat_model_names_modules_and_tests_that_are_there() -> None:
    text = (ROOT / "docs/threat-model.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_/]+(?:\.py|/))`", text))
    assert len(named) > 40
    missing = [
        one
        for one in named
        if not any((top / one).exists() for top in (SOURCE, ROOT / "tests", ROOT))
    ]
    assert not missing

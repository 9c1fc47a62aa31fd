"""`cybersecqwen knowledge`: the full-text knowledge base of the analyst."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import click

from cybersecqwen.cli.group import FILE, Group, say
from cybersecqwen.records import Knowledge

_ATTACK = ("attack-enterprise", "attack-mobile", "attack-ics")


@click.group(cls=Group)
def knowledge() -> None:
    """Install the knowledge base with its full texts."""


@knowledge.command("install")
@click.option("--attack", multiple=True, metavar="FILE|URL", help="ATT&CK STIX bundle; repeated.")
@click.option("--capec", metavar="FILE|URL", help="CAPEC STIX bundle.")
@click.option("--cwe", metavar="FILE|URL", help="CWE catalogue XML.")
@click.option("--folder", type=FILE, help="Where to.  [default: $CYBERSECQWEN_KNOWLEDGE]")
def install(
    attack: tuple[str, ...], capec: str | None, cwe: str | None, folder: Path | None
) -> None:
    """Index upstream's texts, so that answers can quote them.

    With no file or URL given, all of ATT&CK, CAPEC and CWE are fetched into the cache first.
    """
    from cybersecqwen.embedded_build.indexing import KnowledgeFiles
    from cybersecqwen.embedded_build.indexing import install as build
    from cybersecqwen.sources.attack import read_attack
    from cybersecqwen.sources.capec import read_capec
    from cybersecqwen.sources.cwe import read_weaknesses

    with tempfile.TemporaryDirectory() as downloads:
        place = Path(downloads)
        if attack or capec or cwe:
            bundles = tuple(
                _local(one, place / str(i), read_attack) for i, one in enumerate(attack)
            )
            sources = KnowledgeFiles(
                bundles,
                _local(capec, place / "capec", read_capec) if capec else None,
                _local(cwe, place / "cwe", read_weaknesses) if cwe else None,
            )
        else:
            bundles = tuple(map(_fetched, _ATTACK))
            sources = KnowledgeFiles(bundles, _fetched("capec"), _fetched("cwe"))
        path = build(sources, folder=folder)
    _tell(path)


@knowledge.command("status")
def status() -> None:
    """Say which knowledge base answers, and its releases."""
    from cybersecqwen.embedded.knowledge import SHIPPED, installed_index, open_knowledge

    open_knowledge()  # where it is damaged, says how to mend the one that is used
    _tell(installed_index() or SHIPPED)


def _tell(path: Path) -> None:
    from cybersecqwen.embedded.knowledge import KnowledgeIndex

    index = KnowledgeIndex.load(path)
    texts = "with" if index.has_texts else "without"
    say(f"{path}\n{len(index):,} passages {texts} their texts, {path.stat().st_size:,} bytes")
    for source in index.sources:
        say(f"  {source['name']} {source['version']}")


def _local(given: str, folder: Path, read: Callable[[Path], Knowledge]) -> Path:
    """Return the path of a file, downloaded first where it is named by a URL.

    What comes is read at once, so that a login page is refused under its address.
    """
    if not given.lower().startswith(("http://", "https://")):
        return Path(given)
    from urllib.parse import urlsplit

    from cybersecqwen.sources.download import download

    # The reader knows an archive by its ending.
    name = Path(urlsplit(given).path).name or "index"
    return download(given, folder / name, check=read)


def _fetched(source: str) -> Path:
    from cybersecqwen.sources.fetch import default_cache, fetch

    return fetch(source, default_cache())[0]

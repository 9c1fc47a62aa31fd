"""The commands that bring data in: upstream's feeds, and what ships inside the package."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from cybersecqwen.cli.group import FILE, Group, RegistryChoice, echo, json_option, say
from cybersecqwen.errors import CyberSecQwenError


def _fetched() -> list[str]:
    from cybersecqwen.sources.fetch import fetched_feeds

    return [*fetched_feeds(), "records"]


def _updated() -> list[str]:
    from cybersecqwen.sources.recordstore.update import updates

    return list(updates())


class _Fetch(click.Command):
    """Lists the sources below its options."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from cybersecqwen.sources import FEEDS

        with formatter.section("Sources"):
            formatter.write_dl(
                [(name, feed.title) for name, feed in FEEDS.items() if feed.fetch]
                + [("records", f"the record store, from {', '.join(_updated())}")]
            )


@click.command(cls=_Fetch)
@click.argument("source", type=RegistryChoice(_fetched))
@click.option("--years", metavar="Y[-Y]", help="Years of nvd or nvd-api, such as 2015-2021.")
@click.option("--cache", type=FILE, help="Cache folder.  [default: $CYBERSECQWEN_CACHE]")
@click.option("--url", help="Fetch from here instead of upstream.")
@click.option(
    "--only",
    multiple=True,
    metavar="FEED",
    type=RegistryChoice(_updated),
    help="Update this feed of records only; may be repeated.",
)
@click.option("--since", metavar="DATE", help="Where nvd and cvelist begin in a new record store.")
@json_option
def fetch(source: str, cache: Path | None, url: str | None, as_json: bool, **given: Any) -> None:
    """Download a feed, a catalogue or a benchmark.

    `fetch records` brings the record store up to date, which `cybersecqwen records` reads.
    """
    from cybersecqwen.sources.fetch import default_cache
    from cybersecqwen.sources.fetch import fetch as download

    _refuse_options(source, given)
    if source == "records":
        _update(cache or default_cache(), url, as_json=as_json, **given)
        return
    paths = download(source, cache or default_cache(), url=url, years=_years(given["years"]))
    names = [str(path) for path in paths]
    echo(names, "\n".join(names), as_json=as_json)


def _refuse_options(source: str, given: dict[str, Any]) -> None:
    sources = {"years": ("nvd", "nvd-api"), "only": ("records",), "since": ("records",)}
    for name, its in sources.items():
        if given[name] and source not in its:
            raise click.UsageError(f"--{name} is for {' and '.join(its)}, not for {source}")


def _update(
    cache: Path,
    url: str | None,
    *,
    only: tuple[str, ...],
    since: str | None,
    as_json: bool,
    **_: Any,
) -> None:
    """Update the record store; what fails is told, and ends in exit status 1."""
    from cybersecqwen.cli.records import iso_day, print_changes
    from cybersecqwen.sources.recordstore.database import NAME
    from cybersecqwen.sources.recordstore.session import UpdateOptions
    from cybersecqwen.sources.recordstore.update import update

    options = UpdateOptions(
        cache / NAME, cache, url=url or "", since=iso_day(since) if since else ""
    )
    outcomes = []
    for outcome in update(options, only=only):
        outcomes.append(outcome)
        if outcome.error:
            say(f"cybersecqwen: {outcome.feed}: {outcome.error}", err=True)
    results = [(o.feed, o.cursor or o.version, o.changes) for o in outcomes]
    print_changes(results, as_json=as_json)
    if any(outcome.error for outcome in outcomes):
        click.get_current_context().exit(1)


def _years(text: str | None) -> tuple[int, ...]:
    if text is None:
        return ()
    match = re.fullmatch(r"(\d{4})(?:-(\d{4}))?", text)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
    if first > last:
        raise CyberSecQwenError(
            f"--years {text!r} is not a year or range", tip="say 2021 or 2015-2021"
        )
    return tuple(range(first, last + 1))


@click.group(cls=Group)
def embedded() -> None:
    """Build the model that ships inside the package."""


@embedded.command("build")
@click.option("--records", type=FILE, multiple=True, help="Labelled CVE records; may be repeated.")
@click.option("--benchmark", type=FILE, help="CTI-Bench, which nothing built may overlap with.")
@click.option("--cwe", type=FILE, help="CWE catalogue XML (.xml, .gz or .zip).")
@click.option("--mappings", type=FILE, help="MITRE's mappings of CVEs to CWEs as TSV.")
@click.option("--attack", type=FILE, multiple=True, help="ATT&CK STIX bundle; may be repeated.")
@click.option("--capec", type=FILE, help="CAPEC STIX bundle.")
@click.option("--kev", type=FILE, help="CISA's catalogue of known exploited vulnerabilities.")
@click.option(
    "--part",
    "parts",
    type=click.Choice(["facts", "kev", "classifier", "knowledge"]),
    multiple=True,
    help="Build this only; may be repeated.  [default: all]",
)
@click.option("--out", type=FILE, help="Folder to write to.  [default: the package's own]")
@click.option("--report", type=FILE, help="Write what was measured, with plots, to this folder.")
def embedded_build(
    parts: tuple[str, ...], out: Path | None, report: Path | None, **files: Any
) -> None:
    """Build its parts, each with a certificate."""
    from cybersecqwen.artifacts import FOLDER
    from cybersecqwen.embedded_build.build import PARTS, UpstreamFiles, build
    from cybersecqwen.reports.embedded import write_report

    built = build(UpstreamFiles(**files), parts=parts or tuple(PARTS), folder=out or FOLDER)
    if report and "classifier" in built:
        write_report(built["classifier"], report)
    for part, certificate in built.items():
        say(f"{part}: {certificate['bytes']} bytes, sha256 {certificate['sha256']}")

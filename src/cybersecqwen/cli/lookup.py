"""`cybersecqwen lookup`: all that is at hand about a CVE, for people and for pipes."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from pathlib import Path
from textwrap import fill, shorten
from typing import TYPE_CHECKING

import click

from cybersecqwen.cli.group import FILE, help_text
from cybersecqwen.cli.streams import Bad, write_lines

if TYPE_CHECKING:
    from cybersecqwen.analyst.labels import RecordLabel
    from cybersecqwen.analyst.lookup import Lookup
    from cybersecqwen.analyst.related import Mitigations
    from cybersecqwen.records import Cvss

_KEY = 10  # columns of the names on the left
_PIPED, _WIDEST = 100, 120  # columns of a line, where it is no terminal and on a wide one
_CUT = 160  # characters of a mitigation
_SHOWN = 3  # mitigations of a weakness
_LISTED = 6  # attack patterns of a weakness, and techniques


@click.command(help=help_text("lookup"))
@click.argument("inputs", nargs=-1, metavar="[CVE|FILE]...")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.option(
    "--records",
    type=FILE,
    multiple=True,
    help="Files of records, of KEV or of EPSS; may be repeated.  [default: what fetch left in its"
    " cache]",
)
def lookup(inputs: tuple[str, ...], as_json: bool, records: tuple[Path, ...]) -> None:
    """Look up CVE ids, and the records of files or of a pipe."""
    if not inputs and sys.stdin.isatty():
        raise click.UsageError("no CVE id; for example: cybersecqwen lookup CVE-2021-44228")
    from cybersecqwen.analyst.arguments import read_arguments
    from cybersecqwen.analyst.lookup import as_row, look_up, record_files
    from cybersecqwen.cli.output import json_line

    bad = Bad()
    given = read_arguments(inputs or ("-",), records=record_files(records), report=bad.report)
    views = look_up(given, records=records, report=bad.report)
    if as_json:
        lines: Iterable[str] = map(json_line, map(as_row, views))
    else:
        lines = _texts(views)
    write_lines(lines)
    bad.finish()


def _texts(views: Iterable[Lookup]) -> Iterator[str]:
    from cybersecqwen.cli.output import terminal_text

    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else _PIPED
    width, between = min(columns, _WIDEST), ""
    for view in views:
        yield between + terminal_text("\n".join(_text(view, width))) + "\n"
        between = "\n"


def _text(view: Lookup, width: int) -> Iterator[str]:
    yield fill(f"{view.cve_id}  {_dates(view)}", width)
    yield ""
    yield fill(" ".join(view.description.split()) or "(no description in English)", width)
    yield ""
    for key, lines in _parts(view).items():
        for number, line in enumerate(lines):
            yield _wrapped(key if number == 0 else "", line, width)


def _wrapped(key: str, line: str, width: int) -> str:
    deeper = len(line) - len(line.lstrip())
    return fill(
        line.strip(),
        width,
        initial_indent=f"{key:{_KEY + deeper}}",
        subsequent_indent=" " * (_KEY + deeper + 2),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _dates(view: Lookup) -> str:
    status = view.status or ("rejected" if view.rejected else "")
    facts = {"published": view.published, "modified": view.modified[:10], "status": status}
    dates = ", ".join(f"{name} {value or 'not stated'}" for name, value in facts.items())
    return dates + (f", assigned by {view.assigner}" if view.assigner else "")


def _parts(view: Lookup) -> dict[str, list[str]]:
    parts = {
        "CVSS": list(_cvss(view)),
        "CWE": list(_labels(view)),
        "model": list(_classification(view)),
        "KEV": list(_kev(view)),
        "EPSS": list(_epss(view)),
        "mitigate": [line for one in view.related.mitigations for line in _mitigations(one)]
        or ["no weakness is known, so neither mitigation nor attack pattern nor technique"],
        "CAPEC": _patterns(view),
        "ATT&CK": list(_techniques(view)),
        "missing": list(view.missing),
    }
    return {key: lines for key, lines in parts.items() if lines}


def _cvss(view: Lookup) -> Iterator[str]:
    from cybersecqwen.cwe.label import LABEL_SOURCES
    from cybersecqwen.sources.severity import severity

    givers: dict[Cvss, list[str]] = {}  # by what they give
    for one in view.cvss:
        giver = LABEL_SOURCES.get(one.source, "source not stated")
        givers.setdefault(one._replace(source=""), []).append(giver)
    for one, names in givers.items():
        score = f"{one.score:4.1f}" if one.score is not None else "   -"
        yield f"{one.version} {score} {severity(one):8} {one.vector} ({', '.join(names)})"
    if not view.cvss:
        yield "none in the record"


def _labels(view: Lookup) -> Iterator[str]:
    labels = view.classification.labels
    by_cwe: dict[str, list[RecordLabel]] = {}
    for label in labels:
        by_cwe.setdefault(label.cwe, []).append(label)
    for cwe, same in by_cwe.items():
        facts = ", ".join(filter(None, (same[0].abstraction or same[0].kind, same[0].usage)))
        givers = ", ".join(dict.fromkeys(label.giver for label in same))
        yield " ".join(filter(None, (cwe, same[0].name, f"({facts}): {givers}")))
    if not labels:
        yield "no label in the record"
    if view.conflict:
        yield f"  conflict: {view.conflict}"


def _classification(view: Lookup) -> Iterator[str]:
    from cybersecqwen.cwe.catalogue import load_catalogue

    result = view.classification
    for best in result.candidates[:1]:
        facts = ", ".join(filter(None, (best.abstraction, best.usage)))
        yield f"{best.cwe} {best.name} ({facts}) at {best.confidence:.0%}"
        if best.better:
            yield f"  better {best.better} {load_catalogue()[best.better].name}"
    if result.abstain:
        yield ("  " if result.candidates else "") + f"needs review: {result.reason}"
    if result.difference:
        yield f"  differs: {result.difference}"


def _kev(view: Lookup) -> Iterator[str]:
    entry = view.known_exploited
    if entry:
        known = "known" if entry.ransomware else "not known"
        yield (
            f"exploited: added {entry.date_added}, due {entry.due_date}, use in ransomware {known}"
            f" (KEV {view.kev_release})"
        )
        if entry.action:
            yield f"  {entry.action}"
    else:
        yield f"not listed (KEV {view.kev_release})"


def _epss(view: Lookup) -> Iterator[str]:
    if view.epss:
        yield (
            f"{view.epss.score:.2%} within 30 days, percentile {view.epss.percentile:.1%}"
            f" (EPSS {view.epss_release})"
        )
    elif view.epss_release:
        yield f"no score (EPSS {view.epss_release})"


def _mitigations(one: Mitigations) -> Iterator[str]:
    shown = one.texts[:_SHOWN]
    for text in shown:
        yield f"{one.cwe}: {shorten(text, _CUT, placeholder=' …')}"
    if more := one.number - len(shown):
        yield f"{one.cwe}: {more} {'more' if shown else 'mitigations'} at {one.url}"
    elif not one.number:
        yield f"{one.cwe}: no mitigation in the catalogue"


def _patterns(view: Lookup) -> list[str]:
    lines = [
        f"{cwe}: {_listed([f'{p.capec} {p.name}' for p in patterns])}"
        for cwe, patterns in groupby(view.related.patterns, key=lambda p: p.cwe)
    ]
    weaknesses = ", ".join(one.cwe for one in view.related.mitigations)
    return lines or ([f"no attack pattern exploits {weaknesses}"] if weaknesses else [])


def _listed(names: list[str]) -> str:
    more = len(names) - _LISTED
    return "; ".join(names[:_LISTED]) + (f"; and {more} more" if more > 0 else "")


def _techniques(view: Lookup) -> Iterator[str]:
    techniques: dict[str, list[str]] = {}
    for one in view.related.techniques:
        techniques.setdefault(f"{one.technique} {one.name}", []).append(one.capec)
    for name, patterns in islice(techniques.items(), _LISTED):
        yield f"{name} (as {', '.join(dict.fromkeys(patterns))})"
    if len(techniques) > _LISTED:
        yield f"and {len(techniques) - _LISTED} more, with --json"
    if not techniques and view.related.mitigations:
        named = [r for r in view.related.releases if r.startswith(("CAPEC", "ATT&CK ent"))]
        yield f"no technique through CAPEC ({', '.join(named)})"

"""All that is at hand about a CVE, in one view: its record, exploitation, weaknesses, defence.

    [view] = look_up([Given("CVE-2021-44228", "")], records=[Path("records.sqlite")])
    view.description, view.cvss[0].score, view.known_exploited.due_date
    print(json.dumps(as_row(view)))

What is not at hand is named in `missing`, with the command that fetches it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path

from cybersecqwen.analyst import exploitation, local_records
from cybersecqwen.analyst.classification import Classification, Given, classify
from cybersecqwen.analyst.classification import as_row as classification_row
from cybersecqwen.analyst.labels import conflict
from cybersecqwen.analyst.related import Related, relate
from cybersecqwen.cwe.identifiers import normalise_cve
from cybersecqwen.cwe.mapping import ADVISED_AGAINST
from cybersecqwen.errors import InputError
from cybersecqwen.files import Json
from cybersecqwen.formats.rows import Report, refuse
from cybersecqwen.records import EpssScore, KnownExploitation, Vulnerability
from cybersecqwen.sources.severity import severities, severity

_BATCH = 1000  # records
_FIELDS = tuple(field.name for field in fields(Vulnerability))
_OLD_KEV = "a newer KEV than what ships, with its actions, is not at hand: cybersecqwen fetch kev"
_NO_EPSS = "EPSS is not at hand: cybersecqwen fetch epss"
_NO_TEXTS = "the texts of the mitigations are not at hand: cybersecqwen knowledge install"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup(Vulnerability):
    """A CVE record, and beside it what other feeds, the classifier and the knowledge base say.

    `epss_release` is "" where EPSS is not at hand; where it is, and for KEV, None says that the CVE
    is not in it. The labels stand in `classification`. `missing` has a line for
    each part that is not at hand, with the command that fetches it.
    """

    conflict: str  # between the labels of the sources, in words
    known_exploited: KnownExploitation | None
    kev_release: str
    epss: EpssScore | None
    epss_release: str
    classification: Classification
    related: Related
    missing: tuple[str, ...]


def look_up(
    given: Iterable[Given], *, records: Sequence[Path] = (), report: Report = refuse
) -> Iterator[Lookup]:
    """Yield the view of each record; of one that is given without its record, the id is looked up.

    `records` are files of records, of KEV and of EPSS; without them what `fetch` left in its cache
    counts. What is no CVE, and a CVE that is nowhere, goes to `report`. Views come in the order of
    what is given, some of which is read ahead.
    """
    waiting = iter(given)
    while batch := list(islice(waiting, _BATCH)):
        found = list(_records(batch, record_files(records), report))
        yield from _views(found, records)


def record_files(records: Sequence[Path]) -> list[Path]:
    """List the files that hold CVE records; those of KEV, whose texts are short, come last."""
    feeds = {path: exploitation.feed_name(path) for path in records}
    holding = [path for path in records if feeds[path] != "epss"]
    return sorted(holding, key=lambda path: feeds[path] == "kev")


def _records(
    batch: Sequence[Given], records: Sequence[Path], report: Report
) -> Iterator[Vulnerability]:
    ids = {one.id: normalise_cve(str(one.id)) for one in batch if one.record is None}
    wanted = list(dict.fromkeys(filter(None, ids.values())))
    looked_up = local_records.look_up_texts(wanted, records, report) if wanted else ()
    by_id = {one.id: one.record for one in looked_up}
    for one in batch:
        record = one.record or by_id.get(ids[one.id])
        if record:
            yield record
        elif not ids[one.id]:
            tip = "cybersecqwen classify reads texts"
            report(InputError("is a text and no CVE record", where=one.id, tip=tip))


def _views(found: Sequence[Vulnerability], records: Sequence[Path]) -> Iterator[Lookup]:
    ids = [record.cve_id for record in found]
    kev_release, kev = exploitation.known_exploited(ids, records)
    epss_release, epss = exploitation.epss(ids, records)
    for record, result in zip(found, classify(map(local_records.given_of, found)), strict=True):
        related = relate(_weaknesses(result))
        lacking = {
            _OLD_KEV: kev_release.endswith(exploitation.SHIPPED),
            _NO_EPSS: not epss_release,
            _NO_TEXTS: bool(related.mitigations) and not related.has_texts,
        }
        values = {name: getattr(record, name) for name in _FIELDS} | {"cvss": severities(record)}
        yield Lookup(
            **values,
            conflict=conflict(result.labels),
            known_exploited=kev.get(record.cve_id),
            kev_release=kev_release,
            epss=epss.get(record.cve_id),
            epss_release=epss_release,
            classification=result,
            related=related,
            missing=tuple(line for line, lacks in lacking.items() if lacks),
        )


def _weaknesses(result: Classification) -> list[str]:
    """List the weaknesses of a record's labels, or else the one that it is mapped to.

    Labels that MITRE advises against are so broad that what belongs to them does not help; they
    count where there are no others.
    """
    labels = [label for label in result.labels if label.kind == "weakness"]
    telling = [label for label in labels if label.usage not in ADVISED_AGAINST] or labels
    if telling or result.abstain:
        return list(dict.fromkeys(label.cwe for label in telling))
    return [candidate.cwe for candidate in result.candidates[:1]]


def as_row(view: Lookup) -> Json:
    """Return a view as JSON-able values; what does not apply or is not at hand is null."""
    classified = classification_row(view.classification)
    labels = classified.pop("labels")
    classified.pop("id")
    kev, epss, related = view.known_exploited, view.epss, view.related
    return {
        "id": view.cve_id,
        "status": view.status or None,
        "rejected": view.rejected,
        "published": view.published or None,
        "modified": view.modified or None,
        "assigner": view.assigner,
        "description": view.description,
        "cvss": [
            {**one._asdict(), "source": one.source or None, "severity": severity(one) or None}
            for one in view.cvss
        ],
        "labels": labels,
        "conflict": view.conflict or None,
        "classification": classified,
        "known_exploited": kev and kev._asdict(),
        "kev_release": view.kev_release or None,
        "epss": epss and epss._asdict(),
        "epss_release": view.epss_release or None,
        "mitigations": [one._asdict() for one in related.mitigations],
        "attack_patterns": [one._asdict() for one in related.patterns],
        "techniques": [one._asdict() for one in related.techniques],
        "knowledge_releases": related.releases,
        "missing": view.missing,
        "where": view.where or None,
    }

"""CSAF 2.x: vendors' security advisories, VEX documents among them.

https://docs.oasis-open.org/csaf/csaf/v2.0/csaf-v2.0.html

    for vulnerability in FEED.read(Path("rhsa-2024_0001.json"), refuse):
        print(vulnerability.cve_id, vulnerability.description)

The labels count as a CNA's, which most vendors are.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from pydantic import Field

from cybersecqwen.cwe.identifiers import normalise_cve
from cybersecqwen.errors import InputError
from cybersecqwen.formats.archives import Head
from cybersecqwen.formats.rows import Report
from cybersecqwen.records import Vulnerability
from cybersecqwen.sources.affected import Claim, affected
from cybersecqwen.sources.feed import advisory_feed
from cybersecqwen.sources.schema import (
    IsoTime,
    Schema,
    Text,
    cvss3,
    each,
    english,
    inside,
    labels_of,
    parse,
    severities,
    validated,
)

_NOTES = ("description", "summary", "details", "general")  # the first of these is the text


# The part of a claim that the name of a branch is, by its category.
_PARTS = {
    "vendor": "vendor",
    "product_name": "product",
    "product_version": "versions",
    "product_version_range": "versions",
}


class _Note(Schema):
    category: str
    text: str


class _Score(Schema):
    v4: str = inside("cvss_v4", "vectorString")
    v3: str = inside("cvss_v3", "vectorString")
    v2: str = inside("cvss_v2", "vectorString")


class _Product(Schema):
    id: str = Field(alias="product_id")
    name: str


class _Branch(Schema):
    category: str
    name: str
    product: _Product | None = None
    branches: list[_Branch] = Field(default=[])


class _Relationship(Schema):
    product: _Product = Field(alias="full_product_name")
    reference: str = Field(alias="product_reference")  # what is part of another product


class _ProductTree(Schema):
    branches: list[_Branch] = Field(default=[])
    names: list[_Product] = Field(default=[], alias="full_product_names")
    relationships: list[_Relationship] = Field(default=[])

    def products(self) -> dict[str, Claim]:
        """Return the products by their ids."""
        named = {one.id: Claim("", one.name) for one in self.names}
        named |= {key: claim for one in self.branches for key, claim in _leaves(one, Claim("", ""))}
        for one in self.relationships:
            named[one.product.id] = named.get(one.reference, Claim("", one.product.name))
        return named


def _leaves(branch: _Branch, above: Claim) -> Iterator[tuple[str, Claim]]:
    """Yield the products below a branch; `above` is what the branches up to it say of them."""
    part = _PARTS.get(branch.category)
    claim = above._replace(**{part: branch.name}) if part else above
    if branch.product:
        yield branch.product.id, claim if claim.product else claim._replace(product=branch.name)
    for one in branch.branches:
        yield from _leaves(one, claim)


class _Status(Schema):
    known: list[str] = Field(default=[], alias="known_affected")
    first: list[str] = Field(default=[], alias="first_affected")
    last: list[str] = Field(default=[], alias="last_affected")


class _Flaw(Schema, title="CSAF"):
    cve: str = ""
    other_id: str = inside("ids", 0, "text")
    title: str = ""
    notes: list[_Note] = Field(default=[])
    cwe: str = inside("cwe", "id")
    cwe_21: str = inside("cwes", 0, "id")  # since CSAF 2.1
    scores: list[_Score] = Field(default=[])
    status: _Status = Field(default=_Status(), alias="product_status")


class _Advisory(Schema, title="CSAF with vulnerabilities"):
    lang: str = inside("document", "lang", default="en")
    modified: IsoTime = inside("document", "tracking", "current_release_date")
    vulnerabilities: list[Any] = Field(min_length=1)
    products: _ProductTree = Field(default=_ProductTree(), alias="product_tree")


def _records(data: bytes, where: str, report: Report) -> Iterator[Vulnerability]:
    advisory = parse(_Advisory, data, where)
    read = partial(_record, advisory, advisory.products.products())
    return each(advisory.vulnerabilities, read, where, report)


def _record(
    advisory: _Advisory, products: dict[str, Claim], item: Any, where: str
) -> Vulnerability:
    flaw = validated(_Flaw, item, where)
    cve_id = normalise_cve(flaw.cve) or flaw.other_id
    if not cve_id:
        raise InputError("has neither a CVE id nor another", where=where, tip="fix the advisory")
    cvss = severities(v for one in flaw.scores for v in (one.v4, one.v3, one.v2))
    texts = [n.text for name in _NOTES for n in flaw.notes if n.category == name]
    return Vulnerability(
        cve_id=cve_id,
        published="",
        description=english(Text(lang=advisory.lang, value=t) for t in (*texts, flaw.title)),
        cwe_cna=labels_of([flaw.cwe, flaw.cwe_21]),
        cvss3_vector=cvss3(cvss),
        cvss=cvss,
        description_source="csaf",
        modified=advisory.modified,
        where=where,
        affected=affected(
            products.get(key, Claim("", key))
            for key in (*flaw.status.known, *flaw.status.first, *flaw.status.last)
        ),
    )


def _recognise(head: Head) -> bool:
    return "document" in head.keys() and b'"csaf_version"' in head.data  # noqa: SIM118


FEED = advisory_feed("csaf", "a CSAF advisory", recognise=_recognise, records=_records)

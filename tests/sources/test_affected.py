"""Affected products: each format's own way to name them, in one form, kept by table and store."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cybersecqwen.records import AffectedProduct, Vulnerability
from cybersecqwen.sources import read_vulnerabilities
from cybersecqwen.sources.recordstore import query
from cybersecqwen.sources.recordstore.database import open_for_update, transaction
from cybersecqwen.sources.recordstore.versions import CVE_LIST, NVD, apply

from . import test_kev
from .test_advisories import CSAF, CYCLONEDX, FLAW, GITHUB, OSV
from .test_cve_json import container
from .test_cve_json import record as cve_json
from .test_nvd_json import cve as nvd

Products = list[tuple[str, str, str]]
LOG4J: list[dict[str, Any]] = [
    {"vulnerable": True, "criteria": "cpe:2.3:a:apache:log4j:*:*:*:*:*:*:*:*",
     "versionStartIncluding": "2.0.1", "versionEndExcluding": "2.12.2"},
    {"vulnerable": True, "criteria": "cpe:2.3:a:apache:log4j:2.0:rc1:*:*:*:*:*:*"},
    {"vulnerable": False, "criteria": "cpe:2.3:h:acme:router:-:*:*:*:*:*:*:*"},
]  # fmt: skip
LINUX = {
    "vendor": "Linux", "product": "Linux", "defaultStatus": "affected",
    "versions": [
        {"version": "5.11", "status": "affected"},
        {"version": "0", "lessThan": "5.11", "status": "unaffected"},
        {"version": "5.12.5", "lessThanOrEqual": "5.12.*", "status": "unaffected"},
    ],
}  # fmt: skip
COMMITS = {
    "vendor": "Linux", "product": "Linux", "defaultStatus": "unaffected",
    "versions": [
        {"version": "1da1", "lessThan": "f00", "versionType": "git", "status": "affected"}],
}  # fmt: skip
FINE = {"vendor": "Acme", "product": "Other", "defaultStatus": "unaffected"}
NONE = {"vendor": "n/a", "product": "n/a", "versions": [{"version": "n/a", "status": "affected"}]}
ADP = FINE | {"defaultStatus": "affected"}
EVENTS = [{"introduced": "0"}, {"fixed": "1.2"}, {"introduced": "2.0"}, {"last_affected": "2.3"}]
TREE = {
    "branches": [
        {"category": "vendor", "name": "Acme", "branches": [
            {"category": "product_name", "name": "Portal", "branches": [
                {"category": "product_version", "name": "2.1",
                 "product": {"product_id": "P1", "name": "Acme Portal 2.1"}},
                {"category": "product_version_range", "name": "<2",
                 "product": {"product_id": "P2", "name": "Acme Portal <2"}}]}]}],
    "full_product_names": [{"product_id": "P3", "name": "Foo Server"}],
    "relationships": [
        {"category": "default_component_of", "product_reference": "P3",
         "relates_to_product_reference": "P1",
         "full_product_name": {"product_id": "P4", "name": "Foo Server in Acme Portal"}}],
}  # fmt: skip
FORMATS: dict[str, tuple[Any, Products]] = {
    "nvd": (
        nvd("CVE-2021-1001", configurations=[{"nodes": [{"operator": "OR", "cpeMatch": LOG4J}]}]),
        [("apache", "log4j", ">= 2.0.1, < 2.12.2; 2.0 rc1")],
    ),
    "cve json": (
        cve_json(containers={
            "cna": container(affected=[NONE, COMMITS, LINUX, FINE]),
            "adp": [container(affected=[ADP])],
        }),
        [("Linux", "Linux", "5.11; not < 5.11; not >= 5.12.5, <= 5.12.*"), ("Acme", "Other", "")],
    ),
    "osv": (
        OSV | {"affected": [
            {"package": {"ecosystem": "PyPI", "name": "foo"},
             "ranges": [{"type": "GIT", "events": [{"introduced": "abc"}]},
                        {"type": "ECOSYSTEM", "events": EVENTS}]},
            {"package": {"ecosystem": "npm", "name": "bar"}, "versions": ["1.0", "1.1"]}]},
        [("PyPI", "foo", "< 1.2; >= 2.0, <= 2.3"), ("npm", "bar", "1.0; 1.1")],
    ),
    "github": (
        GITHUB | {"vulnerabilities": [{"package": {"ecosystem": "pip", "name": "foo"},
                                       "vulnerable_version_range": "< 1.2"},
                                      {"package": {"ecosystem": "other", "name": None},
                                       "vulnerable_version_range": None}]},
        [("pip", "foo", "< 1.2")],
    ),
    "csaf": (
        CSAF | {"product_tree": TREE, "vulnerabilities": [FLAW | {"product_status": {
            "known_affected": ["P1", "P2", "P4"], "fixed": ["P3"]}}]},
        [("Acme", "Portal", "2.1; <2"), ("", "Foo Server", "")],
    ),
    "cyclonedx": (
        CYCLONEDX | {
            "components": [{"bom-ref": "c1", "name": "app", "components": [
                {"bom-ref": "c2", "group": "org.foo", "name": "core", "version": "1.0"}]}],
            "vulnerabilities": [CYCLONEDX["vulnerabilities"][0] | {"affects": [
                {"ref": "c2"},
                {"ref": "urn:cdx:f0/1#pkg%3Anpm/bar%402.0",
                 "versions": [{"range": "vers:npm/<3"}, {"version": "3", "status": "unaffected"}]},
            ]}]},
        [("org.foo", "core", "1.0"), ("npm", "bar", "vers:npm/<3")],
    ),
    "kev": (
        test_kev.catalogue(test_kev.entry("CVE-2021-1001")),
        [("Acme", "Anvil", "")],
    ),
    "defectdojo": (
        {"findings": [{"title": "A", "severity": "Low", "description": "A flaw.",
                       "component_name": "foo", "component_version": "1.0"}]},
        [("", "foo", "1.0")],
    ),
    "dependency-track": (
        {"version": "1.2", "meta": {"application": "Dependency-Track"}, "project": {}, "findings": [
            {"component": {"group": "org.foo", "name": name, "version": "1"},
             "vulnerability": {"vulnId": "CVE-2021-1001", "description": "A flaw."}}
            for name in ("core", "web")]},
        [("org.foo", "core", "1"), ("org.foo", "web", "1")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_names_its_products(name: str, tmp_path: Path) -> None:
    content, products = FORMATS[name]
    path = tmp_path / "file.json"
    path.write_text(json.dumps(content))
    (one,) = read_vulnerabilities(path)
    assert one.affected == tuple(AffectedProduct(*product) for product in products)


def test_only_so_many_versions_are_written_out(tmp_path: Path) -> None:
    matches = [
        {"vulnerable": True, "criteria": f"cpe:2.3:o:acme:os:{number}:*:*:*:*:*:*:*"}
        for number in range(1, 28)
    ]
    path = tmp_path / "many.json"
    record = nvd("CVE-2021-1001", configurations=[{"nodes": [{"cpeMatch": matches}]}])
    path.write_text(json.dumps(record))
    (one,) = read_vulnerabilities(path)
    assert one.affected[0].versions.endswith("; 20; and 7 more")


def test_the_store_keeps_the_products_of_all_sources_and_a_table_brings_them_back(
    tmp_path: Path,
) -> None:
    store, ours = tmp_path / "s.sqlite", AffectedProduct("apache", "log4j", "< 2.15.0")
    moment = "2024-01-02T00:00:00.000"
    bare = Vulnerability("CVE-2024-0001", "2024-01-01", "One.", modified=moment)
    theirs = AffectedProduct("Apache", "Log4j", "2.0"), AffectedProduct("Acme", "Portal")
    known = [bare, replace(bare, affected=(ours,)), bare]  # again, as from a feed read anew
    with open_for_update(store) as connection, transaction(connection):
        for source, records in ((NVD, known), (CVE_LIST, [replace(bare, affected=theirs)])):
            for record in records:
                apply(connection, source, [record], seen="now")
    (stored,) = query.read(store)
    assert stored.affected == (ours, theirs[1])
    table = tmp_path / "t.jsonl"
    (row,) = query.rows(store, query.RecordFilter())
    table.write_text(json.dumps(row) + "\n")
    assert [one.affected for one in read_vulnerabilities(table)] == [stored.affected]
    row["affected"] *= 2
    table.write_text(json.dumps(row) + "\n")
    assert [one.affected for one in read_vulnerabilities(table)] == [stored.affected]

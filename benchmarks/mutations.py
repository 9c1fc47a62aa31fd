"""Small valid files of every format that is read, and the ways in which they are damaged.

    for name, data in seeds()["classify"].items():
        name, data = mutate(name, data, random.Random(1))

The seeds are made here from invented records. A mutation is drawn with the generator that is given:
the same one gives the same bytes.
"""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import io
import json
import lzma
import random
import sqlite3
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from cybersecqwen.sample import BENCHMARK, FEED

Seeds = dict[str, bytes]
Random = random.Random

FLAWS = (
    ("SQL injection in the login form of Quill 1.2 lets remote attackers read the database.", 89),
    ("Cross-site scripting in the guest book of Marrow allows script in a visitor's page.", 79),
    (
        "A heap overflow in the font parser of Ostwell 3 allows code execution by a crafted file.",
        787,
    ),
    ("Path traversal in the download page of Fenn, as in ../../etc/passwd, discloses files.", 22),
    ("Bracklane compares passwords with “==”; naïve timing tells how many letters are right.", 208),
    ("A use after free in the tab strip of Hollow Browser allows an escape from the sandbox.", 416),
)


def _cve(n: int) -> str:
    return f"CVE-2021-{90_000_000 + n}"


def jsonl(rows: list[Any]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def table(rows: list[dict[str, Any]], delimiter: str = ",") -> bytes:
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue().encode()


def zipped(files: Mapping[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return file.getvalue()


def tarred(files: Mapping[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


def nvd(flaws: Any = FLAWS) -> bytes:
    """Return a feed of NVD's with one record for each flaw."""
    whole = json.loads(FEED.read_text(encoding="utf-8"))
    records = [
        {
            "cve": {
                "id": _cve(n),
                "sourceIdentifier": "cve@example.com",
                "published": "2021-03-01T10:00:00.000",
                "lastModified": "2021-04-01T10:00:00.000",
                "vulnStatus": "Analyzed",
                "descriptions": [{"lang": "en", "value": text}],
                "metrics": {},
                "weaknesses": [
                    {
                        "source": "nvd@nist.gov",
                        "description": [{"lang": "en", "value": f"CWE-{cwe}"}],
                    }
                ],
            }
        }
        for n, (text, cwe) in enumerate(flaws)
    ]
    counts = {"resultsPerPage": len(records), "totalResults": len(records)}
    return json.dumps({**whole, **counts, "vulnerabilities": records}, indent=1).encode()


def cve_record(n: int) -> bytes:
    text, cwe = FLAWS[n]
    label = {"lang": "en", "description": "of its kind", "cweId": f"CWE-{cwe}", "type": "CWE"}
    container = {
        "providerMetadata": {"orgId": "00000000-0000-4000-9000-000000000000"},
        "descriptions": [{"lang": "en", "value": text}],
        "problemTypes": [{"descriptions": [label]}],
    }
    return json.dumps(
        {
            "dataType": "CVE_RECORD",
            "dataVersion": "5.1",
            "cveMetadata": {
                "cveId": _cve(n),
                "state": "PUBLISHED",
                "assignerOrgId": "00000000-0000-4000-9000-000000000000",
                "datePublished": "2021-03-01T10:00:00.000Z",
                "dateUpdated": "2021-04-01T10:00:00.000Z",
            },
            "containers": {"cna": container},
        }
    ).encode()


def _stix(kind: str, entry_id: str, name: str, source: str, **more: Any) -> dict[str, Any]:
    url = f"https://example.org/{entry_id}"
    reference = {"source_name": source, "external_id": entry_id, "url": url}
    identity = {"type": kind, "id": f"{kind}--{entry_id}", "name": name}
    return {**identity, "external_references": [reference], **more}


def _bundle(*objects: dict[str, Any]) -> bytes:
    return json.dumps({"type": "bundle", "id": "bundle--1", "objects": objects}).encode()


def attack(domain: str) -> bytes:
    of = {"x_mitre_domains": [f"{domain}-attack"], "x_mitre_version": "1.0"}
    source = "mitre-attack"
    tactic = _stix("x-mitre-tactic", "TA0002", "Execution", source, x_mitre_shortname="execution")
    shell = _stix(
        "attack-pattern",
        "T1059",
        "Command Interpreter",
        source,
        description="Adversaries run commands of a shell.(Citation: A)",
        kill_chain_phases=[{"kill_chain_name": source, "phase_name": "execution"}],
        x_mitre_platforms=["Linux"],
        **of,
    )
    group = _stix(
        "intrusion-set", "G0999", "Gorse Wren", source, aliases=["Gorse Wren", "Old Rook"]
    )
    uses = {
        "type": "relationship",
        "id": "relationship--1",
        "relationship_type": "uses",
        "source_ref": group["id"],
        "target_ref": shell["id"],
        "description": "They ran a shell.",
    }
    collection = {
        "type": "x-mitre-collection",
        "id": "x-mitre-collection--1",
        "name": f"{domain.title()} ATT&CK",
        "x_mitre_version": "99.0",
    }
    matrix = _stix("x-mitre-matrix", f"{domain}-attack", domain.title(), source)
    return _bundle(collection, matrix, tactic, shell, group, uses)


def capec() -> bytes:
    pattern = _stix(
        "attack-pattern",
        "CAPEC-966",
        "Statement Injection",
        "capec",
        description="Statements out of input.",
        x_capec_version="3.9",
        x_capec_prerequisites=["Input reaches a query."],
        x_capec_skills_required={"Low": "Basic SQL."},
        x_capec_consequences={"Access_Control": ["Bypass"]},
        x_capec_execution_flow="<h3>Explore</h3><ol><li> <p> <b>Survey: </b>Look.</p></li></ol>",
        x_capec_typical_severity="High",
    )
    return _bundle(pattern)


CWE = b"""<?xml version="1.0" encoding="UTF-8"?>
<Weakness_Catalog xmlns="http://cwe.mitre.org/cwe-7" Name="CWE" Version="4.16" Date="2024-11-19">
  <Weaknesses>
    <Weakness ID="79" Name="Cross-site Scripting" Abstraction="Base" Status="Stable">
      <Description>Text about &lt;script&gt; in a page.</Description>
      <Related_Weaknesses>
        <Related_Weakness Nature="ChildOf" CWE_ID="74" View_ID="1000" Ordinal="Primary"/>
      </Related_Weaknesses>
      <Mapping_Notes><Usage>Allowed</Usage></Mapping_Notes>
    </Weakness>
    <Weakness ID="89" Name="SQL Injection" Abstraction="Base" Status="Stable">
      <Description>Statements are built from input.</Description>
    </Weakness>
  </Weaknesses>
  <Views><View ID="1003" Name="Simplified Mapping" Type="Graph" Status="Incomplete"/></Views>
</Weakness_Catalog>
"""


def kev() -> bytes:
    entries = [
        {
            "cveID": _cve(n),
            "vendorProject": "Acme",
            "product": "Anvil",
            "vulnerabilityName": "Acme Anvil Flaw",
            "dateAdded": "2026-01-05",
            "shortDescription": text,
            "requiredAction": "Apply updates.",
            "dueDate": "2026-01-26",
            "knownRansomwareCampaignUse": "Unknown",
            "notes": "",
            "cwes": [f"CWE-{cwe}"],
        }
        for n, (text, cwe) in enumerate(FLAWS)
    ]
    about = {"title": "CISA Catalog of Known Exploited Vulnerabilities"}
    about |= {"catalogVersion": "2026.01.05", "dateReleased": "2026-01-05T10:00:00.000Z"}
    return json.dumps({**about, "count": len(entries), "vulnerabilities": entries}).encode()


def osv() -> bytes:
    return json.dumps(
        {
            "schema_version": "1.4.0",
            "id": "GHSA-2c4m-59x9-abcd",
            "modified": "2024-02-01T10:00:00Z",
            "published": "2024-01-31T09:00:00Z",
            "aliases": [_cve(0)],
            "summary": "SQL injection in Quill",
            "details": FLAWS[0][0],
            "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N"}],
            "affected": [],
            "database_specific": {"cwe_ids": ["CWE-89"], "severity": "HIGH"},
        }
    ).encode()


def csaf() -> bytes:
    flaws = [
        {
            "cve": _cve(n),
            "cwe": {"id": f"CWE-{cwe}", "name": "…"},
            "notes": [{"category": "description", "text": text}],
            "scores": [{"cvss_v3": {"vectorString": "CVSS:3.1/AV:L"}, "products": []}],
        }
        for n, (text, cwe) in enumerate(FLAWS)
    ]
    tracking = {"id": "ACME-1", "current_release_date": "2024-02-01T10:00:00Z"}
    document = {"category": "csaf_security_advisory", "csaf_version": "2.0", "lang": "en-US"}
    document |= {"tracking": tracking}
    return json.dumps({"document": document, "vulnerabilities": flaws}).encode()


def sarif() -> bytes:
    tags = [{"id": _cve(n), "properties": {"tags": [f"cwe-{c}"]}} for n, (_, c) in enumerate(FLAWS)]
    results = [
        {
            "ruleId": _cve(n),
            "ruleIndex": n,
            "message": {"text": text},
            "locations": [{"physicalLocation": {"artifactLocation": {"uri": f"src/{n}.py"}}}],
            "taxa": [{"id": str(cwe), "toolComponent": {"name": "CWE"}}],
        }
        for n, (text, cwe) in enumerate(FLAWS)
    ]
    run = {"tool": {"driver": {"name": "Scan", "rules": tags}}, "results": results}
    return json.dumps({"version": "2.1.0", "runs": [run]}).encode()


def dependency_track() -> bytes:
    findings = [
        {"vulnerability": {"vulnId": _cve(n), "description": text, "cwes": [{"cweId": cwe}]}}
        for n, (text, cwe) in enumerate(FLAWS)
    ]
    about = {"version": "1.2", "meta": {"application": "Dependency-Track"}, "project": {}}
    return json.dumps({**about, "findings": findings}).encode()


def defectdojo() -> bytes:
    findings = [
        {
            "title": "Finding",
            "severity": "High",
            "description": text,
            "cwe": cwe,
            "vulnerability_ids": [_cve(n)],
            "cvssv3": "CVSS:3.1/AV:N",
        }
        for n, (text, cwe) in enumerate(FLAWS)
    ]
    return json.dumps({"name": "Scan", "findings": findings}).encode()


def opencve() -> bytes:
    changes = [
        {
            "cve": {"cve_id": _cve(n), "description": text},
            "events": [{"type": "weaknesses", "details": {"added": [f"CWE-{cwe}"]}}],
        }
        for n, (text, cwe) in enumerate(FLAWS)
    ]
    return json.dumps({"organization": "o", "project": "p", "changes": changes}).encode()


def cyclonedx() -> bytes:
    flaws = [
        {
            "id": _cve(n),
            "description": text,
            "cwes": [cwe],
            "ratings": [{"method": "CVSSv31", "vector": "CVSS:3.1/AV:N"}],
            "published": "2024-01-31T09:00:00Z",
        }
        for n, (text, cwe) in enumerate(FLAWS)
    ]
    about = {"bomFormat": "CycloneDX", "specVersion": "1.5"}
    return json.dumps({**about, "vulnerabilities": flaws}).encode()


def records() -> list[dict[str, Any]]:
    return [
        {
            "cve_id": _cve(n),
            "published": "2021-03-01",
            "description": text,
            "cwe_nvd": [f"CWE-{cwe}"],
            "cwe_cna": [],
            "cwe_cisa_adp": [],
            "cvss3_vector": None,
            "assigner": "cve@example.com",
            "description_source": "nvd",
        }
        for n, (text, cwe) in enumerate(FLAWS)
    ]


EPSS = (
    b"#model_version:v2025.03.14,score_date:2025-03-30T00:00:00+0000\n"
    b"cve,epss,percentile\n" + b"".join(b"CVE-2021-%04d,0.5,0.9\n" % n for n in range(9))
)


def parquet(rows: list[dict[str, Any]]) -> bytes:
    import pyarrow
    from pyarrow import parquet as writer

    file = io.BytesIO()
    writer.write_table(pyarrow.Table.from_pylist(rows), file)
    return file.getvalue()


def arrow(rows: list[dict[str, Any]], *, feather: bool) -> bytes:
    import pyarrow
    from pyarrow import ipc

    held, file = pyarrow.Table.from_pylist(rows), io.BytesIO()
    with (ipc.new_file if feather else ipc.new_stream)(file, held.schema) as writer:
        writer.write_table(held)
    return file.getvalue()


def zstd(data: bytes) -> bytes:
    import pyarrow

    packed = pyarrow.BufferOutputStream()
    with pyarrow.CompressedOutputStream(packed, "zstd") as stream:
        stream.write(data)
    return bytes(packed.getvalue().to_pybytes())


def store() -> bytes:
    """Return a record store that holds the records."""
    from cybersecqwen.sources.recordstore.session import UpdateOptions
    from cybersecqwen.sources.recordstore.update import import_files

    with tempfile.TemporaryDirectory() as folder:
        path, feed = Path(folder) / "records.sqlite", Path(folder) / "feed.json"
        feed.write_bytes(nvd())
        list(import_files(UpdateOptions(path, Path(folder)), [feed]))
        with sqlite3.connect(path) as connection:
            connection.execute("VACUUM")
        return path.read_bytes()


def feeds() -> dict[str, Seeds]:
    """Return small files of every feed, by its name in FEEDS."""
    listed = {f"cves/2021/90000xxx/{_cve(n)}.json": cve_record(n) for n in range(3)}
    page = nvd()
    rows = records()
    return {
        "list": {
            "many.jsonl": b"\n".join((cve_record(0), osv())),
            "many.json": b"[" + osv() + b"]",
        },
        "nvd": {"nvdcve-2.0-2021.json": page, "nvdcve-2.0-2021.json.gz": gzip.compress(page)},
        "cvelist": {f"{_cve(0)}.json": cve_record(0), "main.zip": zipped(listed)},
        "vulnrichment": {f"{_cve(1)}.json": cve_record(1), "develop.zip": zipped(listed)},
        "cwe": {"cwec.xml": CWE, "cwec.xml.zip": zipped({"cwec.xml": CWE})},
        "attack-enterprise": {"enterprise-attack.json": attack("enterprise")},
        "attack-mobile": {"mobile-attack.json": attack("mobile")},
        "attack-ics": {"ics-attack.json": attack("ics")},
        "capec": {"stix-capec.json": capec()},
        "kev": {"known_exploited_vulnerabilities.json": kev()},
        "osv": {"GHSA-2c4m-59x9-abcd.json": osv()},
        "csaf": {"acme-1.json": csaf()},
        "cyclonedx": {"bom.json": cyclonedx()},
        "sarif": {"scan.sarif": sarif()},
        "dependency-track": {"findings.fpf.json": dependency_track()},
        "defectdojo": {"findings.json": defectdojo()},
        "opencve": {"notification.json": opencve()},
        "epss": {"epss_scores-current.csv": EPSS, "epss.csv.gz": gzip.compress(EPSS)},
        "recordstore": {"records.sqlite": store()},
        "table": {"records.jsonl": jsonl(rows), "records.parquet": parquet(rows)},
    }


def texts() -> Seeds:
    """Return files of texts to classify."""
    rows = [{"id": f"r{n}", "text": text} for n, (text, _) in enumerate(FLAWS)]
    return {
        "texts.jsonl": jsonl(rows),
        "texts.csv": table(rows),
        "texts.tsv": table(rows, "\t"),
        "plain.txt": FLAWS[0][0].encode(),
        "nvd.json": nvd(),
        "kev.json": kev(),
        "osv.json": osv(),
        "csaf.json": csaf(),
        "bom.json": cyclonedx(),
        "records.parquet": parquet(records()),
    }


def questions() -> Seeds:
    """Return files of questions."""
    rows = [
        {
            "Question": f"What does technique T10{n} do?",
            "Option A": "It runs commands",
            "Option B": "It hides files",
            "Option C": "It counts sheep",
            "Option D": "Nothing",
        }
        for n in (53, 55, 59)
    ]
    asked = [{"id": n, "question": row["Question"]} for n, row in enumerate(rows)]
    return {
        "items.tsv": table(rows, "\t"),
        "items.csv": table(rows),
        "items.jsonl": jsonl([*asked, {"question": "Which?", "options": ["CWE-79", "CWE-89"]}]),
    }


def training() -> Seeds:
    """Return rows to train on in every ending."""
    said = [
        {
            "messages": [
                {"role": "user", "content": f"What weakness is this? {text}"},
                {"role": "assistant", "content": f"It is CWE-{cwe}."},
            ],
            "source": f"written for row {n}, and by hand",
        }
        for n, (text, cwe) in enumerate(FLAWS)
    ]
    flat = [{"prompt": text, "completion": f"It is CWE-{cwe}, I think."} for text, cwe in FLAWS]
    lines = jsonl(said)
    return {
        "train.jsonl": lines,
        "train.ndjson": jsonl(flat),
        "train.json": json.dumps({"version": 1, "train": said[:3], "test": said[3:]}).encode(),
        "list.json": json.dumps(flat, indent=1).encode(),
        "train.csv": table(flat),
        "train.tsv": table(flat, "\t"),
        "semicolons.csv": table(flat, ";"),
        "train.txt": "\n".join(text for text, _ in FLAWS).encode(),
        "train.parquet": parquet(said),
        "train.arrow": arrow(flat, feather=False),
        "train.feather": arrow(flat, feather=True),
        "train.jsonl.gz": gzip.compress(lines),
        "train.jsonl.bz2": bz2.compress(lines),
        "train.jsonl.xz": lzma.compress(lines),
        "train.jsonl.zst": zstd(lines),
        "train.zip": zipped({"a.jsonl": lines, "b/c.csv": table(flat)}),
        "train.tar.gz": tarred({"a.jsonl": lines, "b/c.csv": table(flat)}),
    }


def recordings() -> Seeds:
    """Return answers to the package's cti-rcm items as people record them."""
    with (BENCHMARK / "cti-rcm.tsv").open(encoding="utf-8", newline="") as file:
        items = list(csv.DictReader(file, delimiter="\t"))
    answers = [f"It reads as a flaw of its kind.\n\n{item['GT']}" for item in items]
    ours = [{"item": n, "trial": 0, "text": text} for n, text in enumerate(answers)]
    samples = [
        {
            "id": n,
            "epoch": 1,
            "input": item["Prompt"],
            "target": item["GT"],
            "metadata": {},
            "output": {
                "choices": [{"message": {"content": text}, "stop_reason": "stop"}],
                "usage": {"input_tokens": 7, "output_tokens": 3},
            },
        }
        for n, (item, text) in enumerate(zip(items, answers, strict=True), start=1)
    ]
    log = {"version": 2, "eval": {}, "samples": samples}
    packed = {f"samples/{s['id']}_epoch_1.json": json.dumps(s).encode() for s in samples}
    harness = [
        {"doc_id": n, "doc": item, "target": item["GT"], "resps": [[text]], "filter": "none"}
        for n, (item, text) in enumerate(zip(items, answers, strict=True))
    ]
    sheet = [{"URL": i["URL"], "answer": t} for i, t in zip(items, answers, strict=True)]
    return {
        "cti-rcm.jsonl": jsonl(ours),
        "cti-rcm.json": json.dumps(ours).encode(),
        "cti-rcm.csv": table(sheet),
        "cti-rcm.tsv": table([{"item": n, "text": a} for n, a in enumerate(answers)], "\t"),
        "samples_cti-rcm.jsonl": jsonl(harness),
        "log-cti-rcm.json": json.dumps(log).encode(),
        "cti-rcm.eval": zipped({"header.json": b"{}", **packed}),
    }


def task_files() -> Seeds:
    """Return a small file of every task, and what judges the answers to one."""
    vector = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"

    def rows(column: str, golds: list[str]) -> list[dict[str, str]]:
        return [
            {
                "URL": f"https://example.org/{n}",
                column: text,
                "Prompt": f"Read this. {text}",
                "GT": gold,
            }
            for n, ((text, _), gold) in enumerate(zip(FLAWS, golds, strict=False))
        ]

    actors = rows("Text", ["", ""])
    named = [{"URL": row["URL"], "GT": "Gorse Wren"} for row in actors]
    graphs = {"aliases": {"gorse wren": ["old rook"]}, "related": {"gorse wren": ["apt0"]}}
    golds = [f"CWE-{cwe}" for _, cwe in FLAWS]
    return {
        "cti-mcq.tsv": (BENCHMARK / "cti-mcq.tsv").read_bytes()[:4096].rpartition(b"\n")[0],
        "cti-rcm.tsv": table(rows("Description", golds), "\t"),
        "cti-rcm-2021.tsv": table(rows("Description", golds), "\t"),
        "cti-vsp.tsv": table(rows("Description", [vector] * 3), "\t"),
        "cti-ate.tsv": table(rows("Description", ["T1059, T1071"] * 3), "\t"),
        "cti-taa.tsv": table([{k: v for k, v in r.items() if k != "GT"} for r in actors], "\t"),
        "cti-taa-gold.tsv": table(named, "\t"),
        "threat-actors.json": json.dumps(graphs).encode(),
    }


# Mutations.

_DEEP = 20_000
_ODD: tuple[str, ...] = (
    *("null", "true", "-1", "0", "1e999", "NaN", '""', "[]", "{}", "[[]]", '{"a": {"b": []}}'),
    *(f"1{'0' * 400}", f"1{'0' * 5000}", "[" * _DEEP, "[" * _DEEP + "]" * _DEEP, '{"a":' * _DEEP),
    *('"\\ud800"', '"\\u0000"', '"\\u001b[31m"', '"' + "A long word. " * 20_000 + '"'),
    *('"CVE-2021-"', '"2021-13-45"', '"9999-99-99T99:99:99"', '"=1+1"', '"\u202e"', "[null]"),
)


def _span(data: bytes, rng: Random) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + rng.choice((1, 2, 7, 60, 400)))


def _flip(data: bytes, rng: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 3, 30))):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _cut(data: bytes, rng: Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _removed(data: bytes, rng: Random) -> bytes:
    start, end = _span(data, rng)
    return data[:start] + data[end:]


def _doubled(data: bytes, rng: Random) -> bytes:
    start, end = _span(data, rng)
    return data[:end] + data[start:]


def _moved(data: bytes, rng: Random) -> bytes:
    start, end = _span(data, rng)
    rest = data[:start] + data[end:]
    place = rng.randrange(len(rest) + 1)
    return rest[:place] + data[start:end] + rest[place:]


def _inserted(data: bytes, rng: Random) -> bytes:
    place = rng.randrange(len(data) + 1)
    odd = rng.choice(
        (b"\0", b"\x1b[2J", b"\xff\xfe", b"\xc3", b"\r", b"\n\n", b'"', b"\x85", b"\xe2\x80\xa8")
    )
    return data[:place] + odd * rng.choice((1, 1, 1, 200)) + data[place:]


def _lines(data: bytes, rng: Random) -> bytes:
    """Remove, double, move, shorten or lengthen a line, or end all of them otherwise."""
    lines = data.split(b"\n")
    place = rng.randrange(len(lines))
    line, way = lines[place], rng.randrange(7)
    if way == 0:
        del lines[place]
    elif way == 1:
        lines.insert(place, line)
    elif way == 2:
        lines.insert(rng.randrange(len(lines)), lines.pop(place))
    elif way == 3:
        lines[place] = line[: len(line) // 2]
    elif way == 4:
        lines[place] = line + rng.choice((b",more", b"\tmore", b'"', b"}", b"," * 5000))
    elif way == 5:
        lines[place] = b"A sentence that goes on. " * 8000 + line
    return (rng.choice((b"\r\n", b"\r")) if way == 6 else b"\n").join(lines)


def _value(data: bytes, rng: Random) -> bytes:
    """Put an odd value into the place of one of JSON's, textually: also what is no JSON."""
    marks = [i for i, byte in enumerate(data) if byte in b":[,"]
    if not marks:
        return _flip(data, rng)
    start = rng.choice(marks) + 1
    end = start
    while end < len(data) and data[end] not in b",]}\n":
        end += 1
    return data[:start] + rng.choice(_ODD).encode() + data[end:]


def _tree(data: bytes, rng: Random) -> bytes:
    """Change one value or key of a JSON document, or of one line of it, which stays JSON."""
    lines = data.split(b"\n")
    place = rng.randrange(len(lines))
    for begin, whole in ((0, data), (place, lines[place])):
        try:
            value = json.loads(whole)
        except (ValueError, RecursionError):
            continue
        changed = json.dumps(_changed(value, rng), ensure_ascii=rng.random() < 0.5)
        text = changed.encode("utf-8", "surrogatepass")
        return text if whole is data else b"\n".join([*lines[:begin], text, *lines[begin + 1 :]])
    return _value(data, rng)


def _changed(value: Any, rng: Random) -> Any:
    if isinstance(value, (dict, list)) and value and rng.random() < 0.85:
        keys = list(value) if isinstance(value, dict) else range(len(value))
        key = rng.choice(keys)
        way = rng.random()
        if way < 0.1:
            del value[key]
        elif way < 0.15 and isinstance(value, list):
            value.append(value[key])
        elif way < 0.2 and isinstance(value, dict):
            value[f"{key}\x1b"] = value.pop(key)
        else:
            value[key] = _changed(value[key], rng)
        return value
    odd = [None, True, -1, 10**400, 1.5, "", "\ud800", "\x1b[31m", "x" * 200_000, [], {}, [None]]
    odd += [{"a": []}, [value], {"a": value}, str(value), "None", "2021-13-45", "CWE 79", "é" * 50]
    return rng.choice(odd)


def _encoded(data: bytes, rng: Random) -> bytes:
    codec = rng.choice(("utf-16", "utf-16-le", "utf-32", "latin-1", "utf-8-sig", "shift-jis"))
    return data.decode("utf-8", "replace").encode(codec, "replace")


def _marked(data: bytes, rng: Random) -> bytes:
    marks = (codecs.BOM_UTF8, codecs.BOM_UTF8 * 2, codecs.BOM_UTF16_LE, b"\n\n", b" " * 70_000)
    return rng.choice(marks) + data


def _packed(data: bytes, rng: Random) -> bytes:
    packs = (gzip.compress, bz2.compress, lzma.compress, lambda d: zipped({"x.json": d}))
    packed = rng.choice(packs)(data)
    return packed if rng.random() < 0.5 else _flip(_cut(packed, rng), rng)


@cache
def _bomb() -> bytes:
    return gzip.compress(bytes(1 << 27), 1)


def _replaced(data: bytes, rng: Random) -> bytes:
    return rng.choice(
        (
            *(b"", b"\n", b"\0" * 100, b"{}", b"[]", b"null", b"<html><body>Log in</body></html>"),
            *(b"PAR1", b"PK\x03\x04", b"\x1f\x8b", b"ARROW1\0\0", b"SQLite format 3\0", b'{"a"'),
            *(b"[" * 100_000, b"%PDF-1.7", rng.randbytes(300), _bomb()),
        )
    )


MUTATIONS: dict[str, Callable[[bytes, Random], bytes]] = {
    "bits": _flip,
    "cut": _cut,
    "removed": _removed,
    "doubled": _doubled,
    "moved": _moved,
    "inserted": _inserted,
    "lines": _lines,
    "value": _value,
    "tree": _tree,
    "encoded": _encoded,
    "marked": _marked,
    "packed": _packed,
    "replaced": _replaced,
}
_WEIGHTS = (3, 2, 2, 2, 1, 2, 4, 4, 8, 1, 1, 1, 1)
_ENDINGS = (".jsonl", ".json", ".csv", ".tsv", ".txt", ".parquet", ".arrow", ".gz", ".JSON", "")


def mutate(name: str, data: bytes, rng: Random) -> tuple[str, bytes, list[str]]:
    """Return a file that is damaged in one way, or now and then in two or three, and the ways."""
    ways = rng.choices(list(MUTATIONS), _WEIGHTS, k=rng.choice((1, 1, 1, 2, 3)))
    for way in ways:
        data = MUTATIONS[way](data, rng)
    if rng.random() < 0.05:
        name, ways = name.partition(".")[0] + rng.choice(_ENDINGS), [*ways, "renamed"]
    return name, data, ways

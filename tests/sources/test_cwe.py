"""The CWE catalogue: what is read from it, and what is refused."""

from __future__ import annotations

import gzip
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from cybersecqwen.errors import InputError
from cybersecqwen.records import Fact, Weakness
from cybersecqwen.sources.cwe import catalogue_version, read_catalogue, read_weaknesses

CATALOGUE = """<?xml version="1.0" encoding="UTF-8"?>
<Weakness_Catalog xmlns="http://cwe.mitre.org/cwe-7" Name="CWE" Version="4.16" Date="2024-11-19">
  <Weaknesses>
    <Weakness ID="79" Name="Cross-site Scripting" Abstraction="Base" Status="Stable">
      <Description>Text about &lt;script&gt;.</Description>
      <Related_Weaknesses>
        <Related_Weakness Nature="ChildOf" CWE_ID="74" View_ID="1000" Ordinal="Primary"/>
        <Related_Weakness Nature="ChildOf" CWE_ID="20" View_ID="1000"/>
        <Related_Weakness Nature="ChildOf" CWE_ID="74" View_ID="1003" Ordinal="Primary"/>
        <Related_Weakness Nature="CanPrecede" CWE_ID="494" View_ID="1000"/>
      </Related_Weaknesses>
      <Mapping_Notes><Usage>Allowed</Usage></Mapping_Notes>
    </Weakness>
  </Weaknesses>
  <Categories>
    <Category ID="310" Name="Cryptographic Issues" Status="Draft">
      <Mapping_Notes><Usage>Prohibited</Usage></Mapping_Notes>
    </Category>
  </Categories>
  <Views><View ID="1003" Name="Simplified Mapping" Type="Graph" Status="Incomplete"/></Views>
</Weakness_Catalog>
"""


def test_entries_of_every_kind(tmp_path: Path) -> None:
    path = tmp_path / "cwe.xml"
    path.write_text(CATALOGUE)
    assert read_catalogue(path) == {
        "CWE-79": Weakness(
            cwe_id="CWE-79",
            name="Cross-site Scripting",
            kind="weakness",
            abstraction="Base",
            status="Stable",
            usage="Allowed",
            parents={"1000": ("CWE-74", "CWE-20"), "1003": ("CWE-74",)},
        ),
        "CWE-310": Weakness(
            "CWE-310", "Cryptographic Issues", "category", status="Draft", usage="Prohibited"
        ),
        "CWE-1003": Weakness("CWE-1003", "Simplified Mapping", "view", status="Incomplete"),
    }
    assert catalogue_version(path) == "4.16"


SUGGESTIONS = """<Usage>Allowed</Usage><Suggestions>
<Suggestion CWE_ID="1284" Comment="Quantity"/><Suggestion CWE_ID="116" Comment="Encoding"/>
</Suggestions>"""


def test_what_mitre_would_rather_have_mapped_to(tmp_path: Path) -> None:
    path = tmp_path / "cwe.xml"
    path.write_text(CATALOGUE.replace("<Usage>Allowed</Usage>", SUGGESTIONS))
    catalogue = read_catalogue(path)
    assert catalogue["CWE-79"].suggestions == ("CWE-1284", "CWE-116")
    assert catalogue["CWE-79"].usage == "Allowed"
    assert catalogue["CWE-310"].suggestions == ()


def test_gzipped_and_zipped_read_the_same(tmp_path: Path) -> None:
    plain, packed, zipped = (tmp_path / f"cwe.xml{ending}" for ending in ("", ".gz", ".zip"))
    plain.write_text(CATALOGUE)
    packed.write_bytes(gzip.compress(CATALOGUE.encode()))
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("cwec_v4.16.xml", CATALOGUE)
    assert read_catalogue(plain) == read_catalogue(packed) == read_catalogue(zipped)


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (CATALOGUE.replace("?>\n", f"?>\n{BOMB}").replace("Text", "&b;").encode(), "DOCTYPE"),
        (CATALOGUE.replace("?>\n", f"?>\n{BOMB}").replace("UTF-8", "UTF-16").encode("utf-16"),
         "DOCTYPE"),
        (CATALOGUE[:900].encode(), "not valid XML"),
        (b"", "not valid XML"),
        (CATALOGUE.replace("UTF-8", "UTF-32").encode(), "not valid XML: multi-byte encodings"),
        (CATALOGUE.replace("UTF-8", "UTF-32").encode("utf-32"), "not valid XML"),
        (CATALOGUE.replace("UTF-8", "Shift_JIS").encode(), "not valid XML: multi-byte encodings"),
        (CATALOGUE.replace("UTF-8", "x-none").encode(), "not valid XML: unknown encoding"),
        (CATALOGUE.replace("Text", "<p>" * 3000 + "</p>" * 3000).encode(), "more than 100 deep"),
        (b"<Weakness_Catalog>%b</Weakness_Catalog>" % (b"<p>" * 9999 + b"</p>" * 9999), "100 deep"),
        (b"<html/>", "root element is html"),
        (CATALOGUE.replace('Name="Cross-site Scripting"', "").encode(), "weakness has no Name"),
    ],
)  # fmt: skip
def test_what_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "cwe.xml"
    path.write_bytes(content)
    for read in (read_catalogue, read_weaknesses):
        with pytest.raises(InputError, match=says):
            read(path)


def test_an_archive_without_xml_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "cwe.zip", "w") as archive:
        archive.writestr("readme.txt", "")
    with pytest.raises(InputError, match=r"no \.xml file"):
        read_catalogue(tmp_path / "cwe.zip")


@pytest.mark.shared
def test_real_catalogue(shared: Path) -> None:
    path = shared / "cwec_v4.16.xml.gz"
    catalogue = read_catalogue(path)
    kinds = Counter(entry.kind for entry in catalogue.values())
    assert kinds == {"weakness": 965, "category": 409, "view": 55}
    assert catalogue["CWE-79"].parents["1003"] == ("CWE-74",)
    assert catalogue["CWE-20"].usage == "Discouraged"
    suggested = {cwe for entry in catalogue.values() for cwe in entry.suggestions}
    assert suggested <= catalogue.keys()
    assert catalogue_version(path) == "4.16"


WEAKNESS = """<Weakness_Catalog xmlns="http://cwe.mitre.org/cwe-7" Version="4.16"><Weaknesses>
<Weakness ID="79" Name="Cross-site Scripting" Abstraction="Base" Status="Stable">
  <Description>Text about &lt;script&gt;.</Description>
  <Extended_Description xmlns:x="http://www.w3.org/1999/xhtml">
    <x:p>First <x:b>block</x:b>.</x:p><x:ul><x:li>An item.</x:li></x:ul>
  </Extended_Description>
  <Related_Weaknesses>
    <Related_Weakness Nature="ChildOf" CWE_ID="74" View_ID="1000"/>
    <Related_Weakness Nature="ChildOf" CWE_ID="74" View_ID="1003"/>
    <Related_Weakness Nature="CanPrecede" CWE_ID="494" View_ID="1000"/>
  </Related_Weaknesses>
  <Applicable_Platforms><Language Class="Not Language-Specific"/></Applicable_Platforms>
  <Alternate_Terms><Alternate_Term><Term>XSS</Term></Alternate_Term></Alternate_Terms>
  <Modes_Of_Introduction><Introduction><Phase>Implementation</Phase></Introduction>
  </Modes_Of_Introduction>
  <Common_Consequences><Consequence><Scope>Integrity</Scope><Scope>Availability</Scope>
    <Impact>Modify Memory</Impact><Note>It may run.</Note></Consequence></Common_Consequences>
  <Potential_Mitigations><Mitigation><Phase>Implementation</Phase><Strategy>Encoding</Strategy>
    <Description>Encode it.</Description></Mitigation></Potential_Mitigations>
  <Related_Attack_Patterns><Related_Attack_Pattern CAPEC_ID="63"/></Related_Attack_Patterns>
  <Detection_Methods><Detection_Method><Method>Fuzzing</Method></Detection_Method>
  </Detection_Methods>
  <Observed_Examples><Observed_Example><Reference>CVE-2024-0001</Reference></Observed_Example>
  </Observed_Examples>
  <Mapping_Notes><Usage>Discouraged</Usage><Reasons><Reason Type="Abstraction"/></Reasons>
    <Suggestions><Suggestion CWE_ID="80"/></Suggestions></Mapping_Notes>
</Weakness>
<Weakness ID="1" Name="Gone" Status="Deprecated"><Description>Was.</Description></Weakness>
</Weaknesses>
<Categories><Category ID="310" Name="Cryptographic Issues" Status="Draft"><Summary>Keys.</Summary>
  <Relationships><Has_Member CWE_ID="79" View_ID="699"/></Relationships></Category></Categories>
</Weakness_Catalog>"""


def test_what_is_said_about_a_weakness(tmp_path: Path) -> None:
    path = tmp_path / "cwe.xml"
    path.write_text(WEAKNESS)
    knowledge = read_weaknesses(path)
    assert (knowledge.source, knowledge.version) == ("CWE", "4.16")
    url = "https://cwe.mitre.org/data/definitions/79.html"
    assert [(e.entry_id, e.kind, e.url, e.aliases) for e in knowledge.entries[:1]] == [
        ("CWE-79", "weakness", url, ("XSS",))
    ]
    # Of a deprecated one only the id and the name are kept.
    assert [(entry.entry_id, entry.kind) for entry in knowledge.entries] == [
        ("CWE-79", "weakness"),
        ("CWE-1", "deprecated weakness"),
        ("CWE-310", "category"),
    ]
    assert [(p.entry_id, p.section, p.text) for p in knowledge.passages] == [
        ("CWE-79", "description", "Text about <script>."),
        ("CWE-79", "description", "First block."),
        ("CWE-79", "description", "An item."),
        ("CWE-79", "alternate term", "XSS"),
        ("CWE-79", "introduction", "Implementation"),
        ("CWE-79", "consequence", "Integrity, Availability, Modify Memory: It may run."),
        ("CWE-79", "detection", "Fuzzing"),
        ("CWE-79", "mitigation", "Implementation, Encoding: Encode it."),
        ("CWE-79", "observed example", "CVE-2024-0001"),
        ("CWE-310", "description", "Keys."),
    ]
    assert set(knowledge.facts) == {
        Fact("CWE-79", "part of", "CWE-74"),
        Fact("CWE-79", "can precede", "CWE-494"),
        Fact("CWE-79", "part of", "CWE-310"),
        Fact("CAPEC-63", "exploits", "CWE-79"),
        Fact("CWE-79", "language", "Not Language-Specific"),
        Fact("CWE-79", "phase", "Implementation"),
        Fact("CWE-79", "scope", "Integrity"),
        Fact("CWE-79", "scope", "Availability"),
        Fact("CWE-79", "impact", "Modify Memory"),
        Fact("CWE-79", "abstraction", "Base"),
        Fact("CWE-79", "parent in CWE-1000", "CWE-74"),
        Fact("CWE-79", "parent in CWE-1003", "CWE-74"),
        Fact("CWE-79", "consequence", "Integrity: Modify Memory"),
        Fact("CWE-79", "consequence", "Availability: Modify Memory"),
        Fact("CWE-79", "mitigation strategy", "Encoding"),
        Fact("CWE-79", "mitigation phase", "Implementation: Encoding"),
        Fact("CWE-79", "detection method", "Fuzzing"),
        Fact("CWE-79", "vulnerability", "CVE-2024-0001"),
        Fact("CWE-79", "mapping usage", "Discouraged"),
        Fact("CWE-79", "mapping reason", "Abstraction"),
        Fact("CWE-79", "suggested instead", "CWE-80"),
        Fact("CWE-79", "status", "Stable"),
        Fact("CWE-1", "status", "Deprecated"),
        Fact("CWE-310", "status", "Draft"),
    }


@pytest.mark.shared
def test_what_the_real_catalogue_says(shared: Path) -> None:
    knowledge = read_weaknesses(shared / "cwec_v4.16.xml.gz")
    sections = Counter(passage.section for passage in knowledge.passages)
    assert min(sections[name] for name in ("consequence", "mitigation", "introduction")) > 1000
    assert Fact("CAPEC-66", "exploits", "CWE-89") in knowledge.facts

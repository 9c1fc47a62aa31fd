"""The CWE catalogue: what is read from it, and what is refused."""

from __future__ import annotations

import gzip
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from cybersecqwen.errors import InputError
from cybersecqwen.records import Weakness
from cybersecqwen.sources.cwe import catalogue_version, read_catalogue

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
        (CATALOGUE[:900].encode(), "no valid XML"),
        (b"", "no valid XML"),
        (b"<html/>", "root element is html"),
        (CATALOGUE.replace('Name="Cross-site Scripting"', "").encode(), "weakness has no Name"),
    ],
)  # fmt: skip
def test_what_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "cwe.xml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=says):
        read_catalogue(path)


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
    assert catalogue_version(path) == "4.16"

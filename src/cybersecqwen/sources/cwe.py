"""The CWE catalogue (https://cwe.mitre.org/data/xsd/cwe_schema_latest.xsd).

    catalogue = read_catalogue(Path("cwec_latest.xml.zip"))
    catalogue["CWE-79"].parents["1003"]     # ('CWE-74',)

Weaknesses, categories and views share one space of ids, so one mapping holds all.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree
from xml.etree.ElementTree import Element
from xml.parsers import expat

from cybersecqwen.errors import InputError
from cybersecqwen.records import Weakness
from cybersecqwen.sources.inputs import read_only

_KINDS: dict[str, Literal["weakness", "category", "view"]] = {
    "Weakness": "weakness",
    "Category": "category",
    "View": "view",
}


def read_catalogue(path: Path) -> dict[str, Weakness]:
    """Read every weakness, category and view of a `.xml`, `.xml.gz` or `.xml.zip`, by its id.

    Raises InputError when it is no CWE catalogue, is damaged, or has a DOCTYPE.
    """
    found: dict[str, Weakness] = {}
    for event, element in _events(path):
        kind = _KINDS.get(_name(element))
        if event == "end" and kind:
            weakness = _weakness(element, kind, path)
            found[weakness.cwe_id] = weakness
            element.clear()  # the texts of the whole catalogue take ten times the file's size
    return found


def catalogue_version(path: Path) -> str:
    """Give the catalogue's own version, such as "4.16"."""
    _, root = next(_events(path))
    return root.get("Version", "")


def _events(path: Path) -> Iterator[tuple[str, Element]]:
    """Yield the start and end of every element, the catalogue's root first."""
    data = read_only(path, ".xml")
    try:
        _refuse_doctype(data, path)
        events = ElementTree.iterparse(BytesIO(data), events=("start", "end"))
        event, root = next(events)
        if _name(root) != "Weakness_Catalog":
            raise InputError(
                f"the root element is {_name(root)}, not Weakness_Catalog",
                where=path,
                tip="give cwec_latest.xml.zip from the CWE site",
            )
        yield event, root
        yield from events
    except (ElementTree.ParseError, expat.ExpatError) as error:
        raise InputError(
            f"no valid XML: {error}", where=path, tip="the file may be truncated; download it again"
        ) from error


def _refuse_doctype(data: bytes, path: Path) -> None:
    """Refuse the one construct that can make a small XML file expand without bound."""

    def refuse(*_: object) -> None:
        raise InputError(
            "the XML has a DOCTYPE, which the catalogue never has",
            where=path,
            tip="download it again from the CWE site",
        )

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.Parse(data, True)


def _weakness(
    element: Element, kind: Literal["weakness", "category", "view"], path: Path
) -> Weakness:
    missing = [key for key in ("ID", "Name") if not element.get(key)]
    if missing:
        raise InputError(
            f"a {kind} has no {missing[0]}", where=path, tip="download the catalogue again"
        )
    return Weakness(
        cwe_id=f"CWE-{element.get('ID')}",
        name=element.get("Name", ""),
        kind=kind,
        abstraction=element.get("Abstraction", ""),
        status=element.get("Status", ""),
        usage=(element.findtext("{*}Mapping_Notes/{*}Usage") or "").strip(),
        parents=_parents(element),
    )


def _parents(element: Element) -> dict[str, tuple[str, ...]]:
    parents: dict[str, tuple[str, ...]] = {}
    for related in element.iterfind("{*}Related_Weaknesses/{*}Related_Weakness"):
        if related.get("Nature") == "ChildOf":
            view = related.get("View_ID", "")
            parents[view] = (*parents.get(view, ()), f"CWE-{related.get('CWE_ID')}")
    return parents


def _name(element: Element) -> str:
    """Name an element without its namespace, which changes with the schema's major version."""
    return element.tag.rpartition("}")[2]

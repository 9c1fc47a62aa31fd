"""The CWE catalogue (https://cwe.mitre.org/data/xsd/cwe_schema_latest.xsd).

    catalogue = read_catalogue(Path("cwec_latest.xml.zip"))
    catalogue["CWE-79"].parents["1003"]     # ('CWE-74',)
    read_weaknesses(Path("cwec_latest.xml.zip")).passages[0].section        # 'description'

Weaknesses, categories and views share one space of ids, so one mapping holds all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree
from xml.etree.ElementTree import Element
from xml.parsers import expat

from cybersecqwen.errors import InputError
from cybersecqwen.formats.archives import Head, read_only
from cybersecqwen.records import Entry, Fact, Knowledge, Passage, Weakness
from cybersecqwen.sources.feed import knowledge_feed
from cybersecqwen.sources.stix import paragraphs

_DEEPEST = 100  # elements; those of the catalogue stand some 15 deep
_KINDS: dict[str, Literal["weakness", "category", "view"]] = {
    "Weakness": "weakness",
    "Category": "category",
    "View": "view",
}


def read_catalogue(path: Path) -> dict[str, Weakness]:
    """Read every weakness, category and view of a `.xml`, `.xml.gz` or `.xml.zip`, by its id.

    Raises InputError when it is no CWE catalogue, is damaged, or has a DOCTYPE.
    """
    return {weakness.cwe_id: weakness for _, weakness in _weaknesses(path)}


def catalogue_version(path: Path) -> str:
    """Return the catalogue's own version, such as "4.16"."""
    _, root = next(_events(path))
    return root.get("Version", "")


def _weaknesses(path: Path) -> Iterator[tuple[Element, Weakness]]:
    """Yield every entry of the catalogue; its element can be read until the next one is taken."""
    for event, element in _events(path):
        kind = _KINDS.get(_name(element))
        if event == "end" and kind:
            yield element, _weakness(element, kind, path)
            element.clear()  # the texts of the whole catalogue take ten times the file's size


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
        depth = 1
        for event, element in events:
            depth += 1 if event == "start" else -1
            if depth > _DEEPEST:
                raise InputError(
                    f"elements stand in each other more than {_DEEPEST} deep",
                    where=path,
                    tip="give cwec_latest.xml.zip from the CWE site",
                )
            yield event, element
    # The last two are of encodings that expat does not know.
    except (ElementTree.ParseError, expat.ExpatError, LookupError, ValueError) as error:
        raise InputError(
            f"not valid XML: {error}",
            where=path,
            tip="the file may be truncated; download it again",
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
        suggestions=tuple(
            f"CWE-{suggestion.get('CWE_ID')}"
            for suggestion in element.iterfind("{*}Mapping_Notes/{*}Suggestions/{*}Suggestion")
        ),
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


# The sections of a weakness: the path of a part, the name of its section, the fields of
# the part whose words stand before its text, and the fields that hold the text.
_SECTIONS: tuple[tuple[str, str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("Description", "description", (), (".",)),
    ("Summary", "description", (), (".",)),
    ("Objective", "description", (), (".",)),
    ("Extended_Description", "description", (), (".",)),
    ("Background_Details/Background_Detail", "background", (), (".",)),
    ("Alternate_Terms/Alternate_Term", "alternate term", ("Term",), ("Description",)),
    ("Modes_Of_Introduction/Introduction", "introduction", ("Phase",), ("Note",)),
    ("Common_Consequences/Consequence", "consequence", ("Scope", "Impact"), ("Note",)),
    ("Detection_Methods/Detection_Method", "detection", ("Method",), ("Description",)),
    ("Potential_Mitigations/Mitigation", "mitigation", ("Phase", "Strategy"), ("Description",)),
    (
        "Demonstrative_Examples/Demonstrative_Example",
        "example",
        (),
        ("Intro_Text", "Body_Text"),
    ),
    ("Observed_Examples/Observed_Example", "observed example", ("Reference",), ("Description",)),
    ("Functional_Areas/Functional_Area", "functional area", (), (".",)),
    ("Affected_Resources/Affected_Resource", "affected resource", (), (".",)),
    ("Notes/Note", "note", (), (".",)),
)
# The words of a weakness: the path, the attributes or the text that hold them, the relation.
_WORDS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("Applicable_Platforms/Language", ("Name", "Class"), "language"),
    ("Applicable_Platforms/Technology", ("Name", "Class"), "technology"),
    ("Applicable_Platforms/Operating_System", ("Name", "Class"), "platform"),
    ("Applicable_Platforms/Architecture", ("Name", "Class"), "architecture"),
    ("Modes_Of_Introduction/Introduction/Phase", (), "phase"),
    ("Common_Consequences/Consequence/Scope", (), "scope"),
    ("Common_Consequences/Consequence/Impact", (), "impact"),
    ("Likelihood_Of_Exploit", (), "likelihood"),
    ("Mapping_Notes/Usage", (), "mapping usage"),
    ("Mapping_Notes/Reasons/Reason", ("Type",), "mapping reason"),
    ("Detection_Methods/Detection_Method/Method", (), "detection method"),
    ("Potential_Mitigations/Mitigation/Strategy", (), "mitigation strategy"),
    ("Functional_Areas/Functional_Area", (), "functional area"),
    ("Affected_Resources/Affected_Resource", (), "affected resource"),
    ("Observed_Examples/Observed_Example/Reference", (), "vulnerability"),
)
_NATURES = {
    "ChildOf": "part of",
    "CanPrecede": "can precede",
    "PeerOf": "peer",
    "Requires": "requires",
    "StartsWith": "starts with",
}
_URL = "https://cwe.mitre.org/data/definitions/"


def read_weaknesses(path: Path) -> Knowledge:
    """Read what the catalogue says about every entry, paragraph by paragraph, and how they relate.

    Raises InputError as `read_catalogue` does.
    """
    entries: list[Entry] = []
    passages: list[Passage] = []
    facts: list[Fact] = []
    for element, weakness in _weaknesses(path):
        entry = _entry(element, weakness)
        if weakness.status == "Deprecated":  # known by its id and name, and nothing else of it
            entry = replace(entry, kind=f"deprecated {entry.kind}")
            facts.append(Fact(entry.entry_id, "status", "Deprecated"))
        else:
            passages.extend(_passages(element, entry))
            facts.extend(_facts(element, weakness))
        entries.append(entry)
    return Knowledge(
        "CWE", catalogue_version(path), tuple(entries), tuple(passages), tuple(dict.fromkeys(facts))
    )


def _entry(element: Element, weakness: Weakness) -> Entry:
    terms = (
        _text(term) for term in element.iterfind("{*}Alternate_Terms/{*}Alternate_Term/{*}Term")
    )
    url = f"{_URL}{weakness.cwe_id.removeprefix('CWE-')}.html"
    return Entry(
        weakness.cwe_id,
        weakness.name,
        weakness.kind,
        url,
        tuple(dict.fromkeys(filter(None, terms))),
    )


def _passages(element: Element, entry: Entry) -> Iterator[Passage]:
    for where, section, titles, fields in _SECTIONS:
        for part in element.iterfind(_any_namespace(where)):
            title = ", ".join(
                _text(child) for name in titles for child in part.iterfind(_any_namespace(name))
            )
            children = (part if name == "." else part.find(_any_namespace(name)) for name in fields)
            texts = [text for c in children if c is not None for text in paragraphs(_blocks(c))]
            for text in texts or [""]:
                whole = f"{title}: {text}" if title and text else title or text
                if whole:
                    yield entry.passage(section, whole)


def _facts(element: Element, weakness: Weakness) -> Iterator[Fact]:
    for related in element.iterfind("{*}Related_Weaknesses/{*}Related_Weakness"):
        nature = _NATURES.get(related.get("Nature", ""))
        if nature:
            yield Fact(weakness.cwe_id, nature, f"CWE-{related.get('CWE_ID')}")
    for view, parents in weakness.parents.items():
        yield from (Fact(weakness.cwe_id, f"parent in CWE-{view}", parent) for parent in parents)
    for suggestion in weakness.suggestions:
        yield Fact(weakness.cwe_id, "suggested instead", suggestion)
    for related in element.iterfind("{*}Related_Attack_Patterns/{*}Related_Attack_Pattern"):
        yield Fact(f"CAPEC-{related.get('CAPEC_ID')}", "exploits", weakness.cwe_id)
    for where in ("{*}Relationships/{*}Has_Member", "{*}Members/{*}Has_Member"):
        for member in element.iterfind(where):
            yield Fact(f"CWE-{member.get('CWE_ID')}", "part of", weakness.cwe_id)
    for relation, word in (*_words(element), *_consequences(element), *_mitigations(element)):
        yield Fact(weakness.cwe_id, relation, word)


def _words(element: Element) -> Iterator[tuple[str, str]]:
    """Yield the relations of an entry to words, with the word of each."""
    for where, attributes, relation in _WORDS:
        for part in element.iterfind(_any_namespace(where)):
            word = next((part.get(a, "") for a in attributes if part.get(a)), "")
            word = word or ("" if attributes else _text(part))
            if word:
                yield relation, word
    for attribute in ("Abstraction", "Structure", "Status"):
        if (word := element.get(attribute, "")) not in ("", "Simple"):
            yield attribute.lower(), word


def _consequences(element: Element) -> Iterator[tuple[str, str]]:
    for part in element.iterfind("{*}Common_Consequences/{*}Consequence"):
        for scope, impact in product(part.iterfind("{*}Scope"), part.iterfind("{*}Impact")):
            yield "consequence", f"{_text(scope)}: {_text(impact)}"


def _mitigations(element: Element) -> Iterator[tuple[str, str]]:
    """Yield in which phase which strategy mitigates a weakness: "Operation: Firewall"."""
    for part in element.iterfind("{*}Potential_Mitigations/{*}Mitigation"):
        strategy = part.find("{*}Strategy")
        named = "other measures" if strategy is None else _text(strategy)
        for phase in part.iterfind("{*}Phase"):
            yield "mitigation phase", f"{_text(phase)}: {named}"


def _any_namespace(where: str) -> str:
    return "/".join(name if name == "." else f"{{*}}{name}" for name in where.split("/"))


def _text(element: Element) -> str:
    return " ".join("".join(element.itertext()).split())


def _blocks(element: Element) -> str:
    """Return the text with an empty line after each block of markup in it."""
    parts = [element.text or ""]
    for child in element:
        block = _name(child) in ("p", "li", "div", "ul", "ol", "br", "tr", "h2", "h3")
        parts += [_blocks(child), "\n\n" if block else "", child.tail or ""]
    return "".join(parts)


def _recognise(head: Head) -> bool:
    return b"<Weakness_Catalog" in head.data


FEED = knowledge_feed(
    "cwe",
    "MITRE's CWE catalogue",
    url="https://cwe.mitre.org/data/xml/cwec_latest.xml.zip",
    recognise=_recognise,
    read=read_weaknesses,
)

r"""STIX 2.x bundles as MITRE publishes them, and their markup made plain.

    https://docs.oasis-open.org/cti/stix/v2.1/stix-v2.1.html

>>> plain("Runs <code>net use</code>, see [Net](https://attack.mitre.org/software/S0039).")
'Runs net use, see Net.'
>>> paragraphs("First.(Citation: A 2020)\n\nSecond.")
['First.', 'Second.']
"""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from cybersecqwen.errors import InputError
from cybersecqwen.formats.archives import Head, read_only
from cybersecqwen.sources.schema import Schema, invalid, parse

MITRE_CTI = "https://raw.githubusercontent.com/mitre/cti/master"  # where the bundles are

_CITATION = re.compile(r"\s*\(Citation: [^)]*\)")
_LINK = re.compile(r"\[([^\]]*)\]\([^)\s]*\)")
# A tag has a name of letters, so that `#include <stdio.h>` and `a < b > c` stay.
_TAG = re.compile(r"</?(?:xhtml:)?(?:p|div|br|ul|ol|li|h\d|t\w+|img)\b[^<>]*>")
_INLINE = re.compile(r"</?(?:xhtml:)?(?:code|b|i|a|em|sup)\b[^<>]*>")
_GAP = re.compile(r"\n\s*\n|<br\s*/?>\s*<br\s*/?>|</(?:xhtml:)?(?:p|li|td|h\d)>")


class Reference(Schema):
    """Where else an object stands, under which id."""

    source_name: str
    external_id: str = ""
    url: str = ""


class StixObject(Schema):
    """The fields that every object of a bundle may have, as far as they are read here."""

    id: str
    type: str
    name: str = ""
    description: str = ""
    modified: str = ""
    revoked: bool = False
    deprecated: bool = Field(default=False, alias="x_mitre_deprecated")
    references: list[Reference] = Field(default=[], alias="external_references")
    relation: str = Field(default="", alias="relationship_type")
    source: str = Field(default="", alias="source_ref")
    target: str = Field(default="", alias="target_ref")


class _Bundle(Schema, title="a STIX bundle"):
    type: str
    objects: list[dict[str, Any]]


_Object = TypeVar("_Object", bound=StixObject)


def is_bundle(head: Head) -> bool:
    """Tell a bundle by its first keys."""
    return {"type", "objects"} <= head.keys()


def read_bundle(path: Path, schema: type[_Object]) -> list[_Object]:
    """Read the objects of a `.json`, `.json.gz` or `.zip` bundle in their order.

    Raises InputError when it is no STIX bundle, or an object lacks what STIX demands.
    """
    bundle = parse(_Bundle, read_only(path, ".json"), path)
    if bundle.type != "bundle":
        raise InputError(
            f"the type is {bundle.type!r}, not 'bundle'",
            where=path,
            tip="give a STIX bundle, such as enterprise-attack.json",
        )
    try:
        return TypeAdapter(list[schema]).validate_python(bundle.objects)  # type: ignore[valid-type]
    except ValidationError as error:
        raise invalid(error, path) from error


def plain(text: str) -> str:
    """Drop citations, links' targets and tags, and fold white space."""
    text = _INLINE.sub("", _LINK.sub(r"\1", _CITATION.sub("", text)))
    return " ".join(html.unescape(_TAG.sub(" ", text)).split())


def paragraphs(text: str) -> list[str]:
    """Cut a text at empty lines and closed blocks into plain paragraphs, none of them empty."""
    return [part for part in map(plain, _GAP.split(text)) if part]

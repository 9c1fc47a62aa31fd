"""The products that a source says are affected, in the one form in which records have them.

>>> affected([("apache", "log4j", "< 2.15.0"), ("Apache", "Log4j", "2.16"), ("n/a", "n/a", "")])
(AffectedProduct(vendor='apache', product='log4j', versions='< 2.15.0; 2.16'),)
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import chain, islice, repeat
from typing import NamedTuple
from urllib.parse import unquote

from cybersecqwen.records import AffectedProduct, is_placeholder

_MOST = 20  # ranges of versions that are written out
_ANY = frozenset(("0", "*", "all", "any", "unspecified"))
_COLON = re.compile(r"(?<!\\):")
_PURL = re.compile(
    r"pkg:(?P<type>[^/]+)/(?:(?P<space>[^@?#]+)/)?(?P<name>[^/@?#]+)(?:@(?P<version>[^?#]+))?"
)


class Claim(NamedTuple):
    """That some versions of a product are affected, as one line of a source says it."""

    vendor: str
    product: str
    versions: str = ""


def affected(claims: Iterable[tuple[str, str, str]]) -> tuple[AffectedProduct, ...]:
    """Return each product once, as it is first spelled, with all the versions that are claimed.

    What names no product, such as "n/a", is left out.
    """
    spelled: dict[tuple[str, str], tuple[str, str]] = {}
    versions: dict[tuple[str, str], dict[str, None]] = {}
    for claim in claims:
        vendor, product, some = map(_value, claim)
        if product:
            key = (vendor.casefold(), product.casefold())
            spelled.setdefault(key, (vendor, product))
            if some and some not in _ANY:
                versions.setdefault(key, {})[some] = None
            else:
                versions.setdefault(key, {})
    return tuple(AffectedProduct(*spelled[key], _join([*versions[key]])) for key in spelled)


@lru_cache(maxsize=1 << 12)
def _value(text: str) -> str:
    return "" if is_placeholder(text) else text.strip()


def _join(ranges: list[str]) -> str:
    if len(ranges) > _MOST:
        ranges = [*ranges[:_MOST], f"and {len(ranges) - _MOST} more"]
    return "; ".join(ranges)


def union(several: Iterable[Iterable[AffectedProduct]]) -> tuple[AffectedProduct, ...]:
    """Return the products of several sources; of one that two name, what the first says."""
    named: dict[tuple[str, str], AffectedProduct] = {}
    for one in (product for some in several for product in some):
        named.setdefault((one.vendor.casefold(), one.product.casefold()), one)
    return tuple(named.values())


def version_range(*, first: str = "", above: str = "", below: str = "", last: str = "") -> str:
    """Write the bounds of a range; one that is any version is none.

    >>> version_range(first="2.0", below="2.15.0"), version_range(first="0", last="3.1")
    ('>= 2.0, < 2.15.0', '<= 3.1')
    """
    bounds = {">=": first, ">": above, "<": below, "<=": last}
    return ", ".join(
        f"{sign} {version}"
        for sign, version in bounds.items()
        if version and version not in _ANY and not is_placeholder(version)
    )


def of_cpe(name: str) -> Claim:
    r"""Return what a CPE 2.3 names: vendor, product and version, "" where it is any.

    >>> of_cpe(r"cpe:2.3:a:acme:c\+\+_tool:6:sp1:*:*:*:*:*:*")
    Claim(vendor='acme', product='c++_tool', versions='6 sp1')
    """
    parts = (_COLON.split(name) if "\\" in name else name.split(":"))[3:7]
    told = ("" if part in ("*", "-") else unescape(part) for part in parts)
    vendor, product, version, update = islice(chain(told, repeat("")), 4)
    return Claim(vendor, product, f"{version} {update}".strip())


def unescape(text: str) -> str:
    r"""Take away the backslashes of CPE's names.

    >>> unescape(r"9.4\(.1\)")
    '9.4(.1)'
    """
    return re.sub(r"\\(.)", r"\1", text) if "\\" in text else text


def of_purl(name: str) -> Claim:
    """Return what a package URL names, its type and namespace as the vendor.

    >>> of_purl("pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1?type=jar")
    Claim(vendor='maven org.apache.logging.log4j', product='log4j-core', versions='2.14.1')
    """
    match = _PURL.match(name)
    if match is None:
        return Claim("", "")
    vendor = " ".join(filter(None, (match["type"], match["space"])))
    return Claim(*(unquote(part or "") for part in (vendor, match["name"], match["version"])))

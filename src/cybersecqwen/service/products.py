"""Find records by the products that they say are affected.

    with database.write() as session:
        index(session, {record.id: record.affected})
    select(Record).where(concerning("http server"))

A product is found by words of its vendor's and its own name that stand together, in any case and
however they are joined: "http server" finds Apache HTTP Server and apache:http_server.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from sqlalchemy import ColumnElement, delete, false, insert, select
from sqlalchemy.orm import Session

from cybersecqwen.files import Json
from cybersecqwen.service.tables import Product, Record, RecordProduct

LONGEST = 500  # characters of a product's words, which PostgreSQL can index
_BATCH = 500
_BETWEEN = re.compile(r"[\W_]+")


def words_of(*names: str) -> str:
    """Return the words of names, each between spaces.

    >>> words_of("apache", "HTTP_server")
    ' apache http server '
    """
    return f" {_BETWEEN.sub(' ', ' '.join(names)).strip().casefold()[:LONGEST]} "


def is_of(affected: Iterable[Json], product: str) -> bool:
    """Tell whether one of the affected products is meant by a name.

    >>> is_of([{"vendor": "OpenSSL", "product": "OpenSSL"}], "openssl")
    True
    """
    wanted = words_of(product)
    return any(wanted in words_of(one["vendor"], one["product"]) for one in affected)


def concerning(product: str) -> ColumnElement[bool]:
    """Return the condition that a record says that a product is affected."""
    wanted = words_of(product)
    if not wanted.strip():
        return false()
    named = (
        select(RecordProduct.record_id)
        .join(Product, Product.id == RecordProduct.product_id)
        .where(Product.words.contains(wanted))
    )
    return Record.id.in_(named)


def index(session: Session, affected: Mapping[int, Sequence[Json]]) -> None:
    """Have records found by these products, and by no others that they named before."""
    words = {
        number: {words_of(one["vendor"], one["product"]) for one in products}
        for number, products in affected.items()
    }
    for some in _parts(affected):
        session.execute(delete(RecordProduct).where(RecordProduct.record_id.in_(some)))
    numbers = _numbers(session, set().union(*words.values()))
    links = [
        {"product_id": numbers[one], "record_id": number}
        for number, every in words.items()
        for one in every
    ]
    if links:
        session.execute(insert(RecordProduct), links)


def _numbers(session: Session, every: set[str]) -> dict[str, int]:
    """Return the ids of products by their words, of which those that are new are added."""
    known: dict[str, int] = {}
    for some in _parts(sorted(every)):
        query = select(Product.words, Product.id).where(Product.words.in_(some))
        known |= dict(session.execute(query).all())
        if new := [{"words": words} for words in some if words not in known]:
            session.execute(insert(Product), new)
            known |= dict(session.execute(query).all())
    return known


def _parts(items: Iterable[object]) -> Iterator[list[object]]:
    """Yield as many at a time as a statement may name."""
    rest = iter(items)
    while some := list(islice(rest, _BATCH)):
        yield some

"""Find records by the products that they say are affected.

    with database.write() as session:
        index(session, {record.id: record.affected})
    select(Record).where(affects("http server"))

A product is found by words of its vendor's and its own name that stand together, in any case and
however they are joined: "http server" finds Apache HTTP Server and apache:http_server.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import ColumnElement, delete, false, insert, select
from sqlalchemy.orm import Session

from cybersecqwen.files import Json
from cybersecqwen.service.database import batches
from cybersecqwen.service.tables import Product, Record, RecordProduct

LONGEST = 500  # characters of a product's words, which PostgreSQL can index
_BETWEEN = re.compile(r"[\W_]+")


def words_of(*names: str) -> str:
    """Return the words of names, each between spaces.

    >>> words_of("apache", "HTTP_server")
    ' apache http server '
    """
    return f" {_BETWEEN.sub(' ', ' '.join(names)).strip().casefold()[:LONGEST]} "


def names_product(affected: Iterable[Json], product: str) -> bool:
    """Tell whether one of the affected products is meant by a name.

    >>> names_product([{"vendor": "OpenSSL", "product": "OpenSSL"}], "openssl")
    True
    """
    wanted = words_of(product)
    return any(wanted in words_of(one["vendor"], one["product"]) for one in affected)


def affects(product: str) -> ColumnElement[bool]:
    """Return the condition that a record says that it affects a product."""
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
    """Index records by these products, and by none that they named before."""
    words = {
        number: {words_of(one["vendor"], one["product"]) for one in products}
        for number, products in affected.items()
    }
    for some in batches(affected):
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
    for some in batches(sorted(every)):
        query = select(Product.words, Product.id).where(Product.words.in_(some))
        known |= dict(session.execute(query).all())
        if new := [{"words": words} for words in some if words not in known]:
            session.execute(insert(Product), new)
            known |= dict(session.execute(query).all())
    return known

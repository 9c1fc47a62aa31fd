"""The product that a description names."""

from __future__ import annotations

import pytest

from cybersecqwen.analyst.vulnerabilities.products import affected_product


@pytest.mark.parametrize(
    ("text", "product"),
    [
        (
            "SQL injection in login.php in Foo Gallery 1.2 allows attackers to read data.",
            "Foo Gallery",
        ),
        ("Foo Server before 2.1 mishandles uploads.", "Foo Server"),
        ("The Foo Bar plugin for WordPress is vulnerable to XSS.", "Foo Bar plugin"),
        ("A vulnerability was found in Acme Shop 1.0 and classified as critical.", "Acme Shop"),
        ("Acme Desk Elevation of Privilege Vulnerability", "Acme Desk"),
        ("In Acme Player through 3.1, a crafted file crashes it.", "Acme Player"),
        ("An issue was discovered in acmelib 2.0. There is a crash.", "acmelib"),
        ("Vulnerability in the Oracle Foo product of Oracle Bar.", "Oracle Foo"),
        (
            "The mint function of a contract implementation for FooCoin, a token, overflows.",
            "FooCoin",
        ),
        ("Improper input validation allows an attacker to run code.", ""),
    ],
)
def test_the_product_is_read_from_the_description(text: str, product: str) -> None:
    assert affected_product(text) == product


def test_a_name_of_many_parts_is_read_to_its_end() -> None:
    """A hyphen inside a word and one between two words once gave more ways than time allows."""
    assert affected_product(f"Acme X{'-X' * 200} ~") == ""
    assert affected_product("Acme Multi-Tool-Kit 2.0 crashes.") == "Acme Multi-Tool-Kit"

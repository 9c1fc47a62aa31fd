"""The product and the fixed versions that a description names."""

from __future__ import annotations

import pytest

from cybersecqwen.analyst.vulnerabilities.products import affected_product, fixed_versions


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


@pytest.mark.parametrize(
    ("text", "versions"),
    [
        ("Foo before 1.2.3 allows XSS.", ["1.2.3"]),
        ("Foo 1.x before 1.2.3, and 2.x before 2.0.1 allow XSS.", ["1.2.3", "2.0.1"]),
        ("Foo prior to version 4.5 is vulnerable.", ["4.5"]),
        ("This issue is fixed in version 2.4.1 and 3.0.0.", ["2.4.1", "3.0.0"]),
        ("Users should upgrade to version 9.1.2.", ["9.1.2"]),
        ("Version 7.0.1 contains a patch.", ["7.0.1"]),
        ("Foo through 1.2.3 allows XSS.", []),
        ("Foo 1.0 allows XSS.", []),
    ],
)
def test_the_fixed_versions_are_read_from_the_description(text: str, versions: list[str]) -> None:
    assert fixed_versions(text) == versions

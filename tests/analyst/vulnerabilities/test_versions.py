"""The fixed versions that a description names, and whether a version is affected."""

from __future__ import annotations

import pytest

from cybersecqwen.analyst.vulnerabilities.versions import (
    affected_versions,
    exposure,
    fixed_versions,
)
from cybersecqwen.records import AffectedProduct


@pytest.mark.parametrize(
    ("text", "versions"),
    [
        ("Foo before 1.2.3 allows XSS.", ["1.2.3"]),
        ("Foo 1.x before 1.2.3, and 2.x before 2.0.1 allow XSS.", ["1.2.3", "2.0.1"]),
        ("Foo prior to version 4.5 is vulnerable.", ["4.5"]),
        ("This issue is fixed in version 2.4.1 and 3.0.0.", ["2.4.1", "3.0.0"]),
        ("Users should upgrade to version 9.1.2.", ["9.1.2"]),
        ("Version 7.0.1 contains a patch.", ["7.0.1"]),
        (
            "Users are recommended to upgrade both server and client to version 4.1.2 or 5.0.3.",
            ["4.1.2", "5.0.3"],
        ),
        ("From version 2.6.0 (and 2.2.1), the feature has been completely removed.", ["2.6.0"]),
        ("Foo through 1.2.3 allows XSS.", []),
        ("Foo 1.0 allows XSS.", []),
    ],
)
def test_the_fixed_versions_are_read_from_the_description(text: str, versions: list[str]) -> None:
    assert fixed_versions(text) == versions


@pytest.mark.parametrize(
    ("version", "text", "affected"),
    [
        ("2.4.0", "Foo before 2.4.1 allows XSS.", True),
        ("2.4.1", "Foo before 2.4.1 allows XSS.", False),
        ("v2.10", "Foo before 2.9 allows XSS.", False),
        ("1.9.5", "Foo before 1.9.5p2 crashes.", True),
        ("1.9.5p2", "Foo before 1.9.5p2 crashes.", False),
        ("1.0.2k", "Foo before 1.0.2m crashes.", True),
        ("3.0-rc1", "Foo before 3.0 crashes.", True),
        ("22.7R2.4", "Foo before version 22.7R2.5 crashes.", True),
        ("2.4", "Foo 2.1 through 2.4 crashes.", True),
        ("2.5", "Foo 2.1 through 2.4 crashes.", False),
        ("1.0", "Foo 2.1 through 2.4 crashes.", None),
        ("6.4.1", "Foo 6.4.1 and earlier contain a flaw.", True),
        ("6.4.2", "Foo 6.4.1 and earlier contain a flaw.", False),
        ("8.2.19", "In Foo versions 8.1.* before 8.1.29, 8.2.* before 8.2.20, XSS.", True),
        ("8.1.29", "In Foo versions 8.1.* before 8.1.29, 8.2.* before 8.2.20, XSS.", False),
        ("9.0.1", "In Foo versions 8.1.* before 8.1.29, 8.2.* before 8.2.20, XSS.", False),
        ("7.4.1", "In Foo versions 8.1.* before 8.1.29, 8.2.* before 8.2.20, XSS.", None),
        ("5.16.6", "Users should upgrade to version 5.15.16, 5.16.7, or 5.17.6.", True),
        ("5.16.7", "Users should upgrade to version 5.15.16, 5.16.7, or 5.17.6.", False),
        ("5.14.0", "Users should upgrade to version 5.15.16, 5.16.7, or 5.17.6.", True),
        ("2.12.2", "Foo 2.0 through 2.15.0 (excluding 2.12.2 and 2.3.1) crashes.", False),
        ("2.12.1", "Foo 2.0 through 2.15.0 (excluding 2.12.2 and 2.3.1) crashes.", True),
        ("14.0.3", "Foo before 13.0.6 (a), 14.0.4 (b), and 15.0.1 (c), SQL injection.", True),
        ("15.0.1", "Foo before 13.0.6 (a), 14.0.4 (b), and 15.0.1 (c), SQL injection.", False),
        (
            "3.2.1",
            "Certain devices are affected: RBK852 before 3.2.16, RBR850 before 3.2.16.",
            True,
        ),
        ("1.4", "Foo software for Windows 10 before 1.4 allows XSS.", False),
        ("21.4", "Foo versions 20.2 until 21.4 are vulnerable.", False),
        ("1.2", "Foo writes up to 380 bytes behind a buffer. Fixed in 1.24.10.", True),
        ("1.24.10", "Foo writes up to 380 bytes behind a buffer. Fixed in 1.24.10.", False),
        ("1.2", "Foo was vulnerable before 2023-02-01.", None),
        ("1.2", "Foo allows XSS.", None),
    ],
)
def test_a_version_is_compared(version: str, text: str, affected: bool | None) -> None:
    found = exposure(version, text)
    assert (found.affected if found else None) is affected


def test_of_several_products_the_one_that_is_named_counts() -> None:
    text = "A flaw in Foo Gate before 2.5, Foo Policy before 1.9 and Bar before 2.3 allows XSS."
    for product, affected in (("Foo Gate", True), ("foo policy", False), ("bar", False)):
        found = exposure("2.4", text, product=product.split())
        assert found
        assert found.affected is affected
    assert exposure("2.4", text) is None


def test_the_list_of_the_record_counts_where_the_description_says_nothing() -> None:
    listed = (AffectedProduct("foo", "server", ">= 2.0, < 2.15.0; < 1.4"),)
    for version, affected in (("2.14", True), ("1.5", False), ("1.3", True)):
        found = exposure(version, "Foo allows XSS.", listed)
        assert found
        assert (found.affected, found.source) == (affected, "record")
    exact = (AffectedProduct("foo", "server", "2.16"),)
    assert exposure("2.15", "Foo allows XSS.", exact) is None


@pytest.mark.parametrize(
    ("text", "fixed"),
    [
        (f"Foo before 7{'_x' * 200}! crashes.", f"7{'_x' * 200}"),
        (f"Fixed in 4.5{' ,' * 200}; see below.", "4.5"),
        (f"Foo before 4.5{' and,' * 200}?", "4.5"),
    ],
)
def test_a_description_of_many_parts_is_read_to_its_end(text: str, fixed: str) -> None:
    """Each can be split in so many ways that trying them all would never end."""
    assert fixed_versions(text) == [fixed]
    found = exposure("1.0", text)
    assert found
    assert found.affected


def test_a_version_of_many_parts_that_is_no_bound_is_read_to_its_end() -> None:
    text = f"Foo 3.0{'_rc' * 200} and so on."
    assert (fixed_versions(text), affected_versions(text)) == ([], [])


def test_a_version_of_any_length_is_compared() -> None:
    for version, affected in (("1" * 6000, False), ("0" * 6000 + "1", True), ("2023050111", True)):
        found = exposure(version, "Foo before 2023050112 allows XSS.")
        assert found
        assert found.affected is affected

"""What a description states is taken where it is plain, and left alone where it is not."""

from __future__ import annotations

import pytest

from cybersecqwen.synthesis.record_facts import component, effect, fixed_in


@pytest.mark.parametrize(
    ("text", "product", "version"),
    [
        ("KNIME Server before 4.13.4 allows XSS.", "KNIME Server", "4.13.4"),
        ("Use after free in Google Chrome prior to 89.0.4389.90.", "Google Chrome", "89.0.4389.90"),
        ("The Cool WordPress plugin before 2.26 fails.", "Cool WordPress plugin", "2.26"),
        (
            "In JetBrains TeamCity before 2020.2.3, XSS is there.",
            "JetBrains TeamCity",
            "2020.2.3",
        ),
    ],
)
def test_the_fix_of_one_product(text: str, product: str, version: str) -> None:
    assert fixed_in(text) == (product, version)


@pytest.mark.parametrize(
    "text",
    [
        "Foo before 1.2 and Bar before 2.1 crash.",  # two limits
        "ZStack before versions 3.10.12 and 4.1.6 is open.",  # of two branches
        "Mautic before 3.3.4/4.0.0 is open.",
        "Fidelis Deception versions prior to 9.3.7 and in version 9.4 are affected.",
        "In versions prior to 9.5.6 the cookie is wrong.",  # of what?
        "The Foo – The Drag Builder WordPress plugin before 3.4.34 is open.",  # half a name
        "Foo 1.2 through 1.9 crashes.",
    ],
)
def test_no_fix_where_more_than_one_thing_is_said(text: str) -> None:
    assert fixed_in(text) is None


@pytest.mark.parametrize(
    ("text", "noun", "name"),
    [
        ("XSS in the lname parameter of OpenEMR.", None, None),  # a plain word names nothing
        ("SQL injection via the user_id parameter.", "parameter", "user_id"),
        ("Overflow in libavformat/avidec.c in FFmpeg.", "file", "libavformat/avidec.c"),
        ("A flaw in the `Print` function.", "function", "Print"),
        ("A flaw in the get_a() function and in the get_b() function.", None, None),
        ("A flaw in the affected component.", None, None),
        ("Creation of files via the PUT method.", None, None),
        ("A flaw in Node.js dns library.", None, None),
    ],
)
def test_the_component_that_is_named(text: str, noun: str | None, name: str | None) -> None:
    assert component(text) == ((noun, name) if noun else None)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("It is bad. It allows attackers to execute arbitrary code. Update.", "code execution"),
        ("A crash of the daemon may follow.", "denial of service"),
        ("An attacker can bypass authentication.", "security bypass"),
        ("It lets users gain root privileges.", "privilege escalation"),
        ("It allows code execution or denial of service.", None),  # two classes
        ("A policy prevents code execution.", None),
        ("A flaw exists.", None),
    ],
)
def test_the_one_effect_that_is_stated(text: str, name: str | None) -> None:
    found = effect(text)
    assert (found.name if found else None) == name
    assert found is None or found.sentence in text

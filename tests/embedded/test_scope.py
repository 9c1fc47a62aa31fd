"""What is no text to classify is told apart from terse descriptions of flaws."""

from __future__ import annotations

import pytest

from cybersecqwen.embedded.classifier import CweClassifier
from cybersecqwen.embedded.scope import EMPTY, FOREIGN, UNRELATED, out_of_scope


@pytest.fixture(scope="module")
def classifier() -> CweClassifier:
    return CweClassifier.load()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", EMPTY),
        (" \n\t ", EMPTY),
        ("\u200b\u200d", EMPTY),
        ("2021 44228 1.2.3 0.0.0.0", EMPTY),
        ("The city council voted to widen the bridge, and work begins next spring.", UNRELATED),
        ("Whisk two eggs with a cup of flour, add milk, and bake for thirty minutes.", UNRELATED),
        ("The home side scored twice in the second half and moved up to third.", UNRELATED),
        ("Please find attached the minutes of last week's meeting.", UNRELATED),
        ("asdf qwer zxcv hjkl uiop vbnm", UNRELATED),
        ("Una inyección en el panel permite a un atacante leer la base de datos.", FOREIGN),
        ("Eine Schwachstelle in der Anmeldung erlaubt es, die Datenbank zu lesen.", FOREIGN),
        ("Une faille dans la page permet de lire les données des utilisateurs.", FOREIGN),
        ("Una falla nella pagina di accesso che consente di leggere i dati.", FOREIGN),
        ("登录页面中的漏洞允许攻击者读取数据库。", FOREIGN),
        ("Уязвимость на странице входа позволяет читать базу данных.", FOREIGN),
        ("ログインページの脆弱性により、攻撃者はデータベースを読み取れます。", FOREIGN),
    ],
)
def test_what_is_none_to_classify(classifier: CweClassifier, text: str, reason: str) -> None:
    [prediction] = classifier.predict([text])
    assert (prediction.out_of_scope, prediction.ranked, prediction.evidence) == (reason, (), ())


@pytest.mark.parametrize(
    ("text", "cwe"),
    [
        ("XSS", "CWE-79"),
        ("SQL injection", "CWE-89"),
        ("use after free in the kernel", "CWE-416"),
        ("Hardcoded credentials in router firmware", "CWE-798"),
        ("CSRF in the settings page", "CWE-352"),
        ("path traversal via the file parameter", "CWE-22"),
        ("SSRF in the webhook URL", "CWE-918"),
        ("integer overflow when parsing a header", "CWE-190"),
        ("race condition in the installer", "CWE-362"),
        ("Missing authorization check in the export API", "CWE-862"),
        ("XXE in the SAML parser", "CWE-611"),
        ("Division by zero in the ELF reader", "CWE-369"),
        ("open redirect after login", "CWE-601"),
    ],
)
def test_a_terse_vulnerability_is_one(classifier: CweClassifier, text: str, cwe: str) -> None:
    [prediction] = classifier.predict([text])
    assert (prediction.out_of_scope, prediction.ranked[0][0]) == ("", cwe)


def why(text: str, *, pairs: float, chance: float) -> str:
    return out_of_scope(text.split(), pairs=pairs, chance=chance)


def test_a_sure_class_or_known_pairs_with_a_sign_make_a_text_one_to_classify() -> None:
    plain, flaw = "the page shows a list", "the page leaks a list"
    assert why(plain, pairs=0.49, chance=0.19) == UNRELATED
    assert why(plain, pairs=0.51, chance=0.0) == ""
    assert why(plain, pairs=0.0, chance=0.21) == ""
    assert why(flaw, pairs=0.31, chance=0.0) == ""
    assert why(flaw, pairs=0.29, chance=0.0) == UNRELATED
    assert why("fixed before 0", pairs=0.4, chance=0.0) == ""
    assert why("fixed before noon", pairs=0.4, chance=0.0) == UNRELATED


@pytest.mark.parametrize(
    "text",
    [
        "xss in the plugin le monde 0 for wordpress",
        "a flaw in the module of la poste before 0",
        "xss in the café page of müller",
    ],
)
def test_a_name_in_another_language_does_not_make_a_text_foreign(text: str) -> None:
    assert why(text, pairs=1.0, chance=1.0) == ""


def test_two_words_of_another_language_against_fewer_of_english_do() -> None:
    assert why("xss dans la page", pairs=1.0, chance=1.0) == FOREIGN
    assert why("xss dans la page of the site with login", pairs=1.0, chance=1.0) == ""

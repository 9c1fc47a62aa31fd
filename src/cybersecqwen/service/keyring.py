"""Encrypt the secrets of webhooks, so that a copy of the database does not give them away.

    keyring = open_keyring(settings.folder, create=True)
    key, ciphertext = keyring.encrypt(secret)
    keyring.decrypt(key, ciphertext) == secret

The keys are those of an environment variable or else of a file in the service's folder. The first
one encrypts, and the others still decrypt. A key is named by the start of its SHA-256, so that an
error can say which one is missing.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import select
from sqlalchemy.orm import Session

from cybersecqwen.errors import InputError, keep_secret
from cybersecqwen.files import atomic_write, locked, read_text
from cybersecqwen.service.audit_trail import append
from cybersecqwen.service.database import Database
from cybersecqwen.service.reviews import Actor
from cybersecqwen.service.tables import Webhook

VARIABLE = "CYBERSECQWEN_ENCRYPTION_KEYS"
FILE = "encryption-keys"
_NAME = 12  # digits of a key's SHA-256


@dataclass(frozen=True)
class Keyring:
    """The keys by their names, the one that encrypts first, and where they are kept."""

    keys: dict[str, Fernet]
    where: object

    def encrypt(self, text: str) -> tuple[str, str]:
        """Return the name of the key, and the text encrypted with it."""
        name, key = next(iter(self.keys.items()))
        return name, key.encrypt(text.encode()).decode()

    def decrypt(self, name: str, ciphertext: str) -> str:
        """Return what was encrypted; raises InputError without its key, or where it is damaged."""
        tip = "`cybersecqwen workplace webhooks rotate` makes another secret"
        if name not in self.keys:
            raise InputError(
                f"the key {name} is not among the keys, and the secret was encrypted with it",
                where=self.where,
                tip=f"add this key; where it is lost, {tip}",
            )
        try:
            return self.keys[name].decrypt(ciphertext).decode()
        except InvalidToken as error:
            what = f"the secret is damaged: the key {name} does not decrypt it"
            raise InputError(what, where=self.where, tip=tip) from error


def open_keyring(folder: Path, *, create: bool = False) -> Keyring:
    """Read the keys anew; with `create` there is one, in a file that only its owner can read.

    Raises InputError for what is no key.
    """
    given = os.environ.get(VARIABLE)
    if given is not None:
        return _parsed(given, VARIABLE)
    path = folder / FILE
    if create and not path.exists():
        with locked(path):
            if not path.exists():
                _write(path, [Fernet.generate_key().decode()])
    return _parsed(read_text(path), path) if path.exists() else Keyring({}, path)


def _parsed(text: str, where: object) -> Keyring:
    keys = {}
    for number, key in enumerate(_split(text), 1):
        try:
            keys[hashlib.sha256(base64.urlsafe_b64decode(key)).hexdigest()[:_NAME]] = Fernet(key)
        except ValueError as error:
            tip = "a key is 32 random bytes in base64: openssl rand -base64 32"
            raise InputError(f"key {number} is none", where=where, tip=tip) from error
        keep_secret(key)
    if not keys:
        raise InputError("holds no key", where=where, tip="give one, or remove it")
    return Keyring(keys, where)


def _split(text: str) -> list[str]:
    return [key for key in re.split(r"[,\s]+", text) if key]


def _write(path: Path, keys: list[str]) -> None:
    with atomic_write(path, private=True) as file:
        file.writelines(f"{key}\n" for key in keys)


def set_secret(webhook: Webhook, secret: str, keyring: Keyring) -> None:
    """Keep the secret of a webhook, encrypted."""
    webhook.key_name, webhook.encrypted_secret = keyring.encrypt(secret)
    webhook.secret = ""


def read_secrets(session: Session, folder: Path) -> tuple[dict[int, str], dict[int, str]]:
    """Return the secrets of the webhooks by their ids, and why the others cannot be decrypted."""
    secrets, problems = {}, {}
    webhooks = session.scalars(select(Webhook).where(Webhook.disabled.is_(False))).all()
    keyring = open_keyring(folder) if webhooks else Keyring({}, folder)
    for one in webhooks:
        try:
            # An older version that still runs writes secrets that are not encrypted.
            secrets[one.id] = one.secret or keyring.decrypt(one.key_name, one.encrypted_secret)
        except InputError as error:
            problems[one.id] = f"webhook {one.id}: {error}"
    return secrets, problems


def encrypt_secrets(database: Database, folder: Path) -> int:
    """Encrypt the secrets that an older version kept as they are, and return how many."""
    clear = select(Webhook).where(Webhook.secret != "")
    with database.read() as session:
        if session.scalars(clear).first() is None:
            return 0
    keyring = open_keyring(folder, create=True)
    with database.write() as session:
        webhooks = session.scalars(clear).all()
        for webhook in webhooks:
            set_secret(webhook, webhook.secret, keyring)
    database.truncate_log()
    return len(webhooks)


def rotate_key(database: Database, folder: Path, *, actor: Actor) -> tuple[str, int]:
    """Encrypt all secrets with the first key, a new one where they are kept in the file.

    Returns the name of the key and the number of secrets. Older keys stay, for backups. Raises
    InputError where a secret cannot be decrypted.
    """
    with database.write() as session:
        secrets, problems = read_secrets(session, folder)
        if problems:
            raise InputError(next(iter(problems.values())))
        keyring = _with_new_key(folder)
        for number, secret in secrets.items():
            set_secret(session.get_one(Webhook, number), secret, keyring)
        name = next(iter(keyring.keys))
        details = {"key": name, "webhooks": sorted(secrets)}
        append(session, actor=actor.name, action="rotate key", subject=name, details=details)
    database.truncate_log()
    return name, len(secrets)


def _with_new_key(folder: Path) -> Keyring:
    if VARIABLE not in os.environ:
        path = folder / FILE
        with locked(path):
            old = _split(read_text(path)) if path.exists() else []
            _write(path, [Fernet.generate_key().decode(), *old])
    return open_keyring(folder)

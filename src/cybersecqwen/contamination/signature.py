"""Sign a certificate with an SSH key, and verify such a signature.

    sign(Path("certificate.json"), Path("~/.ssh/id_ed25519").expanduser())  # certificate.json.sig
    verify_signature(Path("certificate.json"), Path("allowed_signers"), "alice@example.com")

OpenSSH does the work (`ssh-keygen -Y`, its formats SSHSIG and ALLOWED SIGNERS), so anyone can
verify a signature without this package.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from cybersecqwen.errors import CyberSecQwenError, InputError
from cybersecqwen.files import write_bytes
from cybersecqwen.formats.archives import readable

NAMESPACE = "cybersecqwen"  # a signature made for another purpose is none of a certificate


class SignatureError(CyberSecQwenError):
    """A signature that is not one of this file by this signer."""


def sign(certificate: Path, key: Path) -> Path:
    """Sign a file with a private SSH key, and write the signature beside it as `NAME.sig`.

    Raises InputError where the file or the key cannot be used; an older signature then stays.
    """
    _check_present(key, "no such key", "make one with: ssh-keygen -t ed25519 -f KEY")
    done = _ssh_keygen("sign", "-f", str(key), given=_content(certificate))
    if done.returncode:
        raise InputError(
            f"cannot sign with it: {_said(done)}", where=key, tip="give a private SSH key"
        )
    target = _signature(certificate)
    write_bytes(target, done.stdout)
    return target


def verify_signature(certificate: Path, signers: Path, identity: str) -> None:
    """Check that the file beside which `NAME.sig` lies was signed by one of the signer's keys.

    `signers` is a file as OpenSSH's ALLOWED SIGNERS: an identity and a public key on a line.
    Raises SignatureError when it was not, InputError when a file is missing.
    """
    signature = _signature(certificate)
    _check_present(signature, "no signature", "make one with: cybersecqwen certificate sign")
    _check_present(signers, "no such file of signers", "it holds a line: IDENTITY PUBLIC-KEY")
    who = ("-f", str(signers), "-I", identity, "-s", str(signature))
    done = _ssh_keygen("verify", *who, given=_content(certificate))
    if done.returncode:
        raise SignatureError(
            f"the signature is not one of {identity} for this file: {_said(done)}", where=signature
        )


def _signature(certificate: Path) -> Path:
    return certificate.with_name(f"{certificate.name}.sig")


def _content(path: Path) -> bytes:
    with readable(path):
        return path.read_bytes()


def _check_present(path: Path, what: str, tip: str) -> None:
    if not path.is_file():
        raise InputError(what, where=path, tip=tip)


def _ssh_keygen(action: str, *options: str, given: bytes) -> subprocess.CompletedProcess[bytes]:
    program = shutil.which("ssh-keygen")
    if program is None:
        raise CyberSecQwenError(
            "signatures need ssh-keygen, which is not installed", tip="install OpenSSH"
        )
    command = [program, "-Y", action, "-n", NAMESPACE, *options]
    return subprocess.run(command, input=given, capture_output=True, check=False)


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    said = (done.stderr or done.stdout).decode(errors="replace")
    return said.strip().rstrip(".") or f"ssh-keygen ended with status {done.returncode}"

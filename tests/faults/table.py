"""Tries every fault and writes the table of the README's reliability section anew.

    target/python/bin/python tests/faults/table.py [--share 1.0] [--seed 1]

`--share 0.1` tries a tenth as often. The README is written only if every run came to the same shards.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
README = HERE.parents[1] / "README.md"
BEGIN, END = "<!-- tests/faults/table.py -->\n", "<!-- end -->\n"
ROUNDS = {"kill": 200, "terminate": 30, "asleep": 30, "together": 20, "full": 20}


def tried(fault, rounds, seed):
    script = [sys.executable, HERE / "kill.py", "--fault", fault, "--rounds", str(rounds), "--seed", str(seed), "--json"]
    done = subprocess.run(script, stdout=subprocess.PIPE, text=True)
    if done.returncode == 3:
        return None
    if done.returncode:
        sys.exit(f"{fault}: {done.stdout}")
    return json.loads(done.stdout)


def line(found):
    times = f"{found['tried']} times in {found['runs']} runs"
    again = f"{found['again']} s of {found['whole']} s"
    return f"| {found['fault']} | {times} | {found['same']} of {found['runs']} | {found['lost']} | {found['doubled']} | {again} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    lines = [
        "| fault | tried, on the demo | same shards after it | pieces of rows lost | doubled | CPU time of work done again, each time |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for fault, rounds in ROUNDS.items():
        found = tried(fault, max(1, round(rounds * arguments.share)), arguments.seed)
        lines += [line(found)] if found else []
        print(lines[-1], flush=True)
    text = README.read_text()
    before, rest = text.split(BEGIN)
    README.write_text(before + BEGIN + "\n".join(lines) + "\n" + END + rest.split(END)[1])


if __name__ == "__main__":
    main()

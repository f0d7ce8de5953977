"""Tries every fault and writes the table of the README's reliability section anew.

    target/python/bin/python tests/faults/table.py [--share 1.0]

`--share 0.1` tries a tenth as often. The README is written only if every run came to the same shards. What is left out
here, for want of a mount or of libfaketime, has no line. Everything that was found goes to standard output as well.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
README = HERE.parents[1] / "README.md"
BEGIN, END = "<!-- tests/faults/table.py -->\n", "<!-- end -->\n"
# The seeds of each fault's rounds.
SEEDS = {
    "kill": range(1, 201),
    "terminate": range(1, 31),
    "asleep": range(1, 31),
    "together": range(1, 21),
    "full": range(1, 21),
    "clock": range(1, 21),
}


def tried(fault, seeds):
    chosen = ["--seed", str(seeds[0]), "--rounds", str(len(seeds))]
    done = subprocess.run([sys.executable, HERE / "kill.py", "--fault", fault, *chosen, "--json"], stdout=subprocess.PIPE)
    if done.returncode == 3:
        return None
    if done.returncode:
        sys.exit(f"{fault}: {done.stdout.decode()}")
    return json.loads(done.stdout)


def line(found):
    times = f"{found['tried']} times in {found['runs']} runs"
    again = f"{found['again']} s of {found['whole']} s"
    return f"| {found['fault']} | {times} | {found['same']} of {found['runs']} | {found['lost']} | {found['doubled']} | {again} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=1.0)
    arguments = parser.parse_args()
    lines = [
        "| fault | tried, on the demo | same shards after it | pieces of rows lost | doubled | CPU time of work done again, each time |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for fault, seeds in SEEDS.items():
        found = tried(fault, seeds[: max(1, round(len(seeds) * arguments.share))])
        lines += [line(found)] if found else []
        print(json.dumps(found), flush=True)
    text = README.read_text()
    before, rest = text.split(BEGIN)
    README.write_text(before + BEGIN + "\n".join(lines) + "\n" + END + rest.split(END)[1])


if __name__ == "__main__":
    main()

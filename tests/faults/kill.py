"""Kills the demo job at random moments, runs it again, and holds the shards against those of an undisturbed run.

    python3 tests/faults/kill.py [--rounds 200] [--seed 1] [--signal KILL] [--stops 3]

Each round is a run in a folder of its own that is stopped one to `--stops` times, each time at a moment drawn from the
seed, and then runs to its end. Prints a table: what was tried, what survived, rows lost and doubled, and the work done again.
"""

import argparse
import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGELOOM = ROOT / "target/release/pageloom"
# Many units and shards, so that every stage has moments of its own.
SETTINGS = ["--set", "units.bytes=65536", "--set", "shards.rows_per_shard=1", "--set", "shards.rows_per_row_group=1"]


def command(out):
    return [PAGELOOM, "run", ROOT / "jobs/demo.toml", "--out", out, "--parallel", "2", *SETTINGS]


def to_the_end(out):
    subprocess.run(command(out), check=True, capture_output=True)
    subprocess.run([PAGELOOM, "verify", out], check=True, capture_output=True)


def shards(out):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (out / "data").iterdir()}


def commits(out):
    return {path.name for path in out.glob("commits/*/*.json")}


def stopped(out, moment, number):
    """Whether the run was still going at that moment, and took the signal."""
    run = subprocess.Popen(command(out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        run.wait(moment)
        return False
    except subprocess.TimeoutExpired:
        run.send_signal(number)
        asked = time.monotonic()
        run.wait()
        return time.monotonic() - asked


def stage_of(out):
    begun = [stage for stage in ("documents", "images", "sequences", "shards") if any(out.glob(f"commits/{stage}/*"))]
    return begun[-1] if begun else "start"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--signal", default="KILL", choices=["KILL", "TERM", "INT"])
    parser.add_argument("--stops", type=int, default=3)
    arguments = parser.parse_args()
    draw, number = random.Random(arguments.seed), getattr(signal, f"SIG{arguments.signal}")
    folder = Path(tempfile.mkdtemp(prefix="pageloom-faults-"))
    try:
        started = time.monotonic()
        to_the_end(folder / "undisturbed")
        whole = time.monotonic() - started
        reference, rows = shards(folder / "undisturbed"), json.loads((folder / "undisturbed/manifest.json").read_text())["rows"]
        stops, by_stage, survived, lost, doubled, slowest_end = 0, {}, 0, 0, 0, 0.0
        for index in range(arguments.rounds):
            out = folder / f"round-{index}"
            for _ in range(draw.randint(1, arguments.stops)):
                before = commits(out)
                took = stopped(out, draw.uniform(0.0, whole), number)
                if took is not False:
                    stops += 1
                    slowest_end = max(slowest_end, took)
                    stage = stage_of(out)
                    by_stage[stage] = by_stage.get(stage, 0) + 1
                if not before <= commits(out):
                    sys.exit(f"round {index}: a commit is gone")
            to_the_end(out)
            survived += shards(out) == reference
            found = json.loads((out / "manifest.json").read_text())["rows"]
            lost, doubled = lost + max(0, rows - found), doubled + max(0, found - rows)
            shutil.rmtree(out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"signal          {arguments.signal}, seed {arguments.seed}")
    print(f"runs            {arguments.rounds}, stopped {stops} times: {by_stage}")
    print(f"same shards     {survived} of {arguments.rounds}")
    print(f"rows            {lost} lost, {doubled} doubled")
    print(f"longest end     {slowest_end:.2f} s from the signal to the process's end")
    if survived != arguments.rounds or lost or doubled:
        sys.exit(1)


if __name__ == "__main__":
    main()

"""Disturbs the demo job, runs it again, and holds its shards and every row against those of an undisturbed run.

    python3 tests/faults/kill.py [--fault kill|terminate|asleep|together|full] [--rounds 200] [--seed 1] [--stops 3]

A round is a run in a folder of its own. `kill` and `terminate` stop it one to `--stops` times, each at a moment drawn from the
seed; `asleep` stops it at such a moment, lets another run do all of it, and then wakes it up; `together` starts two to four
runs at once; `full` lets its disk be too small, and then enlarges it (this needs the right to mount a tmpfs). After each
the job runs to its end, is verified, and is compared: bytes of shards, and each piece of each row by its document, offset,
objective, view and branch, as multisets. Prints one line for the table of the README, or says why a fault is left out.
Needs pyarrow, which `tests/run` sets up in target/python.
"""

import argparse
import collections
import contextlib
import hashlib
import json
import random
import resource
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
PIECES = ["document_keys", "document_offsets", "seq_lengths", "objectives", "views", "branches"]
STAGES = ["documents", "images", "sequences", "shards"]


def command(out):
    return [PAGELOOM, "run", ROOT / "jobs/demo.toml", "--out", out, "--parallel", "2", *SETTINGS]


def start(out):
    return subprocess.Popen(command(out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def to_the_end(out):
    subprocess.run(command(out), check=True, capture_output=True)
    subprocess.run([PAGELOOM, "verify", out], check=True, capture_output=True)


def shards(out):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (out / "data").iterdir()}


def pieces(out):
    """How often each piece stands in the shards, with the tokens of its row; what a row lost or doubled changes it."""
    import pyarrow.parquet

    found = collections.Counter()
    for path in sorted((out / "data").iterdir()):
        for row in pyarrow.parquet.read_table(path).to_pylist():
            tokens = hashlib.sha256(repr(row["input_ids"]).encode()).hexdigest()
            found.update((tokens, *piece) for piece in zip(*(row[name] for name in PIECES)))
    return found


def commits(out):
    return {path.name for path in out.glob("commits/*/*.json")}


def stage_of(out):
    begun = [stage for stage in STAGES if any(out.glob(f"commits/{stage}/*"))]
    return begun[-1] if begun else "start"


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Rounds:
    """What was tried, and what came of it."""

    def __init__(self, folder, arguments):
        self.folder, self.stops, self.draw = folder, arguments.stops, random.Random(arguments.seed)
        started, cpu = time.monotonic(), cpu_seconds()
        to_the_end(folder / "undisturbed")
        self.whole, self.cpu = time.monotonic() - started, cpu_seconds() - cpu
        self.reference, self.rows = shards(folder / "undisturbed"), pieces(folder / "undisturbed")
        self.tried, self.by_stage, self.same, self.lost, self.doubled = 0, collections.Counter(), 0, 0, 0
        self.again, self.slowest_end = [], 0.0

    def moment(self):
        return self.draw.uniform(0.0, self.whole)

    def running_at(self, run, moment):
        try:
            run.wait(moment)
            return False
        except subprocess.TimeoutExpired:
            return True

    def disturbed(self, out):
        self.tried += 1
        self.by_stage[stage_of(out)] += 1

    def stopped(self, out, number):
        for _ in range(self.draw.randint(1, self.stops)):
            before, run = commits(out), start(out)
            if self.running_at(run, self.moment()):
                asked = time.monotonic()
                run.send_signal(number)
                run.wait()
                self.slowest_end = max(self.slowest_end, time.monotonic() - asked)
                self.disturbed(out)
            if not before <= commits(out):
                sys.exit(f"{out.name}: a commit is gone")

    def kill(self, out):
        self.stopped(out, signal.SIGKILL)

    def terminate(self, out):
        self.stopped(out, signal.SIGTERM)

    def asleep(self, out):
        run = start(out)
        if self.running_at(run, self.moment()):
            run.send_signal(signal.SIGSTOP)
            self.disturbed(out)
            to_the_end(out)
            run.send_signal(signal.SIGCONT)
        if run.wait() != 0:
            sys.exit(f"{out.name}: the run that was woken up failed")

    def together(self, out):
        runs = [start(out) for _ in range(self.draw.randint(2, 4))]
        self.disturbed(out)
        if any([run.wait() for run in runs]):
            sys.exit(f"{out.name}: one of the runs failed")

    def full(self, out):
        size = self.draw.randint(64, 2048)
        while subprocess.run(command(out), capture_output=True).returncode:
            self.disturbed(out)
            size += self.draw.randint(64, 1024)
            subprocess.run(["mount", "-o", f"remount,size={size}k", out.parent], check=True)

    @contextlib.contextmanager
    def place(self, fault, name):
        """A folder for a round; on a small disk of its own if the fault is a full one."""
        home = self.folder / name
        home.mkdir()
        if fault == "full":
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", home], check=True)
        try:
            yield home / "out"
        finally:
            if fault == "full":
                subprocess.run(["umount", home], check=True)
            shutil.rmtree(home)

    def compare(self, out):
        found = pieces(out)
        self.lost += (self.rows - found).total()
        self.doubled += (found - self.rows).total()
        self.same += shards(out) == self.reference

    def run(self, fault, rounds):
        for index in range(rounds):
            with self.place(fault, f"round-{index}") as out:
                cpu, before = cpu_seconds(), self.tried
                getattr(self, fault)(out)
                to_the_end(out)
                if self.tried > before:
                    self.again.append((cpu_seconds() - cpu - self.cpu) / (self.tried - before))
                self.compare(out)


NAMES = {
    "kill": "`kill -9` at random moments",
    "terminate": "SIGTERM at random moments",
    "asleep": "asleep while another run did all, then woken up",
    "together": "two to four runs at once",
    "full": "disk full, then enlarged",
}


def mounts():
    with tempfile.TemporaryDirectory() as folder:
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True).returncode:
            return False
        return subprocess.run(["umount", folder]).returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fault", default="kill", choices=list(NAMES))
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stops", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print what was found as JSON")
    arguments = parser.parse_args()
    if arguments.fault == "full" and not mounts():
        print("left out: a disk of a size can't be mounted here", file=sys.stderr)
        sys.exit(3)
    folder = Path(tempfile.mkdtemp(prefix="pageloom-faults-"))
    try:
        rounds = Rounds(folder, arguments)
        rounds.run(arguments.fault, arguments.rounds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    again = sorted(rounds.again)[len(rounds.again) // 2] if rounds.again else 0.0
    found = {
        "fault": NAMES[arguments.fault],
        "command": f"kill.py --fault {arguments.fault} --rounds {arguments.rounds} --seed {arguments.seed}",
        "tried": rounds.tried,
        "runs": arguments.rounds,
        "by_stage": dict(rounds.by_stage),
        "same": rounds.same,
        "lost": rounds.lost,
        "doubled": rounds.doubled,
        "again": round(max(again, 0.0), 2),
        "whole": round(rounds.cpu, 2),
        "slowest_end": round(rounds.slowest_end, 2),
    }
    if arguments.json:
        print(json.dumps(found))
    else:
        print(f"{found['fault']}: {rounds.tried} times in {arguments.rounds} runs, {found['by_stage']}")
        print(f"same shards     {rounds.same} of {arguments.rounds}")
        print(f"pieces of rows  {rounds.lost} lost, {rounds.doubled} doubled, of {rounds.rows.total()}")
        print(f"done again      {found['again']} CPU seconds each time (median), of {found['whole']} for a run and its verification")
        print(f"longest end     {rounds.slowest_end:.2f} s from a signal to the process's end")
    if rounds.same != arguments.rounds or rounds.lost or rounds.doubled:
        sys.exit(1)


if __name__ == "__main__":
    main()

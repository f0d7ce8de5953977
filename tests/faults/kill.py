"""Disturbs the demo job, runs it again, and holds its shards and every row against those of an undisturbed run.

    python3 tests/faults/kill.py [--fault kill|terminate|asleep|together|full|clock] [--rounds 200] [--seed 1]

A round is a run in a folder of its own. `kill` and `terminate` stop it once in each stage, at a moment of that stage, and
start it again each time; `asleep` stops it at some moment, lets another run do all of it, and then wakes it up;
`together` starts two to four runs at once; `full` lets its disk be too small, and then enlarges it (this needs the right
to mount a tmpfs); `clock` lets its wall clock jump while it runs (this needs libfaketime). After each the job runs to its
end, is verified, is cleaned of what killed runs have left, and is compared: bytes of shards and of the tables of images,
and each piece of each row by its document, offset, objective, view and branch, as multisets.

A round draws all it does from its own seed: `--seed` for the first, one more for each after it. A round that fails is named
with its seed, and `--rounds 1 --seed` repeats it. Prints one line for the table of the README, or says why a fault is left
out. Needs pyarrow, which `tests/run` sets up in target/python.
"""

import argparse
import collections
import contextlib
import hashlib
import json
import os
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
SETTINGS = ["units.bytes=65536"] + [
    f"{table}.{setting}=1" for table in ("shards", "image_shards") for setting in ("rows_per_shard", "rows_per_row_group")
]
PIECES = ["document_keys", "document_offsets", "seq_lengths", "objectives", "views", "branches"]
STAGES = ["documents", "images", "image_shards", "sequences", "shards"]
# Whoever runs longer than this hangs.
DEADLINE_SECONDS = 300
FALSE_CLOCKS = [Path(f"/usr/lib/{machine}-linux-gnu/faketime/libfaketimeMT.so.1") for machine in ("x86_64", "aarch64")]


def command(out):
    sets = [argument for setting in SETTINGS for argument in ("--set", setting)]
    return [PAGELOOM, "run", ROOT / "jobs/demo.toml", "--out", out, "--parallel", "2", *sets]


def start(out, **environment):
    nowhere = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command(out), env={**os.environ, **environment}, **nowhere)


def ended(run):
    """The exit code of a run, which is to come within the deadline."""
    try:
        return run.wait(DEADLINE_SECONDS)
    except subprocess.TimeoutExpired:
        run.kill()
        sys.exit(f"a run hangs: it is at work after {DEADLINE_SECONDS} s")


def to_the_end(out):
    subprocess.run(command(out), check=True, capture_output=True, timeout=DEADLINE_SECONDS)
    subprocess.run([PAGELOOM, "verify", out], check=True, capture_output=True, timeout=DEADLINE_SECONDS)


def cleaned(out):
    """How many files killed runs had left, which are gone now."""
    done = subprocess.run([PAGELOOM, "clean", out, "--remove", "--json"], check=True, capture_output=True)
    return len(json.loads(done.stdout)["paths"])


def shards(out):
    files = [path for table in ("data", "images") for path in (out / table).iterdir()]
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def pieces(out):
    """How often each piece stands in the shards, with the tokens of its row; what a row lost or doubled changes it."""
    import pyarrow.parquet

    found = collections.Counter()
    for path in sorted((out / "data").iterdir()):
        for row in pyarrow.parquet.read_table(path).to_pylist():
            tokens = hashlib.sha256(repr(row["input_ids"]).encode()).hexdigest()
            found.update((tokens, *piece) for piece in zip(*(row[name] for name in PIECES)))
    return found


def commits(out, stage="*"):
    return {path.name for path in out.glob(f"commits/{stage}/*.json")}


def stage_of(out):
    begun = [stage for stage in STAGES if commits(out, stage)]
    return begun[-1] if begun else STAGES[0]


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Undisturbed:
    """What a run is that nothing disturbs."""

    def __init__(self, out):
        started, cpu = time.monotonic(), cpu_seconds()
        to_the_end(out)
        self.seconds, self.cpu = time.monotonic() - started, cpu_seconds() - cpu
        self.shards, self.pieces = shards(out), pieces(out)
        self.units = {stage: len(commits(out, stage)) for stage in STAGES}
        said = subprocess.run([PAGELOOM, "status", out, "--json"], check=True, capture_output=True)
        self.stage_seconds = {stage["stage"]: stage["speed"]["seconds"] for stage in json.loads(said.stdout)["stages"]}


class Rounds:
    """What was tried, and what came of it."""

    def __init__(self, folder, fault):
        self.folder, self.fault = folder, fault
        self.undisturbed = Undisturbed(folder / "undisturbed")
        self.draw = random.Random()
        self.tried, self.by_stage, self.same, self.lost, self.doubled = 0, collections.Counter(), 0, 0, 0
        self.again, self.slowest_end, self.left = [], 0.0, 0

    def moment(self):
        return self.draw.uniform(0.0, self.undisturbed.seconds)

    def running_at(self, run, moment):
        try:
            run.wait(moment)
            return False
        except subprocess.TimeoutExpired:
            return True

    def disturbed(self, out):
        self.tried += 1
        self.by_stage[stage_of(out)] += 1

    def running_in(self, run, out, stage):
        """Waits until everything before a stage is done."""
        before = STAGES[: STAGES.index(stage)]
        while any(len(commits(out, earlier)) < self.undisturbed.units[earlier] for earlier in before):
            if not self.running_at(run, 0.002):
                return False
        return True

    def stopped(self, out, number):
        for stage in STAGES:
            before, run = commits(out), start(out)
            moment = self.draw.uniform(0.0, self.undisturbed.stage_seconds[stage])
            if self.running_in(run, out, stage) and self.running_at(run, moment):
                asked = time.monotonic()
                run.send_signal(number)
                ended(run)
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
        if ended(run) != 0:
            sys.exit(f"{out.name}: the run that was woken up failed")

    def together(self, out):
        runs = [start(out) for _ in range(self.draw.randint(2, 4))]
        self.disturbed(out)
        if any([ended(run) for run in runs]):
            sys.exit(f"{out.name}: one of the runs failed")

    def full(self, out):
        size = self.draw.randint(64, 2048)
        while subprocess.run(command(out), capture_output=True, timeout=DEADLINE_SECONDS).returncode:
            self.disturbed(out)
            size += self.draw.randint(64, 1024)
            subprocess.run(["mount", "-o", f"remount,size={size}k", out.parent], check=True)

    def clock(self, out):
        """The wall clock alone jumps, by up to 30 years: a rate of its own would break the timeouts of every program."""
        says = out.parent / "clock"
        says.write_text("+0")
        run = start(
            out,
            LD_PRELOAD=str(false_clock()),
            FAKETIME_TIMESTAMP_FILE=str(says),
            FAKETIME_NO_CACHE="1",
            FAKETIME_DONT_FAKE_MONOTONIC="1",
        )
        while self.running_at(run, self.draw.uniform(0.0, self.undisturbed.seconds / 4)):
            jump = says.with_name("jump")
            jump.write_text(f"{self.draw.uniform(-1e9, 1e9):+.3f}")
            jump.rename(says)
            self.disturbed(out)
        if ended(run) != 0:
            sys.exit(f"{out.name}: a run whose clock jumped failed")

    @contextlib.contextmanager
    def place(self, name):
        """A folder for a round; on a small disk of its own if the fault is a full one."""
        home = self.folder / name
        home.mkdir()
        if self.fault == "full":
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", home], check=True)
        try:
            yield home / "out"
        finally:
            if self.fault == "full":
                subprocess.run(["umount", home], check=True)
            shutil.rmtree(home)

    def compare(self, out, seed):
        found = pieces(out)
        lost = (self.undisturbed.pieces - found).total()
        doubled = (found - self.undisturbed.pieces).total()
        same = shards(out) == self.undisturbed.shards
        outcome = f"{lost} pieces lost, {doubled} doubled, shards are {'the same' if same else 'others'}"
        print(f"seed {seed}: {self.tried} times so far; {outcome}", file=sys.stderr)
        self.lost, self.doubled, self.same = self.lost + lost, self.doubled + doubled, self.same + same

    def run(self, seed):
        self.draw = random.Random(seed)
        with self.place(f"seed-{seed}") as out:
            cpu, before = cpu_seconds(), self.tried
            getattr(self, self.fault)(out)
            to_the_end(out)
            if self.tried > before:
                self.again.append((cpu_seconds() - cpu - self.undisturbed.cpu) / (self.tried - before))
            self.left += cleaned(out)
            self.compare(out, seed)


NAMES = {
    "kill": "`kill -9`, once in each stage",
    "terminate": "SIGTERM, once in each stage",
    "asleep": "asleep while another run did all, then woken up",
    "together": "two to four runs at once",
    "full": "disk full, then enlarged",
    "clock": "wall clock jumps, by up to 30 years",
}


def mounts():
    with tempfile.TemporaryDirectory() as folder:
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True).returncode:
            return False
        return subprocess.run(["umount", folder]).returncode == 0


def false_clock():
    return next((library for library in FALSE_CLOCKS if library.exists()), None)


def left_out(fault):
    """Why a fault can't be tried here, if it can't."""
    if fault == "full" and not mounts():
        return "a disk of a size can't be mounted here"
    if fault == "clock" and not false_clock():
        return "libfaketime is not installed here"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fault", default="kill", choices=list(NAMES))
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print what was found as JSON")
    arguments = parser.parse_args()
    if why := left_out(arguments.fault):
        print(f"left out: {why}", file=sys.stderr)
        sys.exit(3)
    folder = Path(tempfile.mkdtemp(prefix="pageloom-faults-"))
    try:
        rounds = Rounds(folder, arguments.fault)
        for seed in range(arguments.seed, arguments.seed + arguments.rounds):
            rounds.run(seed)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    again = sorted(rounds.again)[len(rounds.again) // 2] if rounds.again else 0.0
    found = {
        "fault": NAMES[arguments.fault],
        "tried": rounds.tried,
        "runs": arguments.rounds,
        "by_stage": dict(rounds.by_stage),
        "same": rounds.same,
        "lost": rounds.lost,
        "doubled": rounds.doubled,
        "again": round(max(again, 0.0), 2),
        "whole": round(rounds.undisturbed.cpu, 2),
        "slowest_end": round(rounds.slowest_end, 2),
        "left": rounds.left,
    }
    if arguments.json:
        print(json.dumps(found))
    else:
        print(f"{found['fault']}: {rounds.tried} times in {arguments.rounds} runs, {found['by_stage']}")
        print(f"same shards     {rounds.same} of {arguments.rounds}")
        print(f"pieces of rows  {rounds.lost} lost, {rounds.doubled} doubled, of {rounds.undisturbed.pieces.total()}")
        print(f"done again      {found['again']} CPU seconds each time (median), of {found['whole']} for a run and its verification")
        print(f"longest end     {rounds.slowest_end:.2f} s from a signal to the process's end")
        print(f"cleaned         {rounds.left} files that stopped runs had left")
    if rounds.same != arguments.rounds or rounds.lost or rounds.doubled:
        sys.exit(1)


if __name__ == "__main__":
    main()

"""Which finished runs the tests read: `pytest tests/python --out DIR [--out DIR ...]`."""

import json
from pathlib import Path

import pyarrow.parquet as parquet
import pytest


def pytest_addoption(parser):
    parser.addoption("--out", action="append", type=Path, default=[], help="output folder of a finished run")
    parser.addoption("--binary", type=Path, help="the pageloom binary; without it, tests that run jobs are skipped")


def pytest_generate_tests(metafunc):
    if "run" in metafunc.fixturenames:
        folders = metafunc.config.getoption("out")
        if not folders:
            raise pytest.UsageError("name finished runs with --out DIR")
        metafunc.parametrize("run", [Run(folder) for folder in folders], ids=[folder.name for folder in folders])


@pytest.fixture
def binary(request):
    binary = request.config.getoption("binary")
    if binary is None:
        pytest.skip("needs --binary")
    return binary


class Run:
    """A finished run, as a trainer finds it."""

    def __init__(self, folder):
        self.folder = folder
        self.manifest = json.loads((folder / "manifest.json").read_text())
        self.job = json.loads((folder / "job.json").read_text())["job"]
        self.vocabulary = json.loads((folder / "vocabulary.json").read_text())
        self.shards = [folder / shard["path"] for shard in self.manifest["files"]]
        self.ranges = {entry["name"]: range(entry["first"], entry["first"] + entry["count"]) for entry in self.vocabulary["ranges"]}

    def rows(self):
        for shard in self.shards:
            yield from parquet.read_table(shard).to_pylist()

    def documents(self):
        """Each document's tokens, put together again from its pieces, by its key."""
        documents = {}
        for row in self.rows():
            start = 0
            for length, key in zip(row["seq_lengths"], row["document_keys"], strict=True):
                if key:
                    documents.setdefault(key, []).extend(row["input_ids"][start : start + length])
                start += length
        return documents

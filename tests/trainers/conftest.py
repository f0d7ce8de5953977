"""The shards of one run, as trainers load them."""

from pathlib import Path

import datasets
import pytest


def pytest_addoption(parser):
    parser.addoption("--out", required=True, help="output folder of a finished run")


@pytest.fixture(scope="session")
def rows(request, tmp_path_factory):
    files = sorted(str(path) for path in (Path(request.config.getoption("--out")) / "data").glob("train-*.parquet"))
    cache = str(tmp_path_factory.mktemp("datasets"))
    return list(datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=cache).select(range(4)))

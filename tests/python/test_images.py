"""The table of images as trainers read it: with pyarrow, with Hugging Face datasets, with numpy."""

import hashlib
import json

import datasets
import numpy
import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest


@pytest.fixture
def images(run):
    table = run.manifest.get("image_table")
    if table is None:
        pytest.skip("this run has no table of images")
    shards = [run.folder / shard["path"] for shard in table["files"]]
    return table, shards, arrow.concat_tables([parquet.read_table(shard) for shard in shards])


def masks_of(field):
    return json.loads(field.metadata[b"pageloom:masks"])


def mask_fields(table):
    return [field for field in table.schema if field.name.startswith("masks_")]


def test_the_manifest_is_true_of_the_images(images):
    listed, shards, table = images
    for entry, shard in zip(listed["files"], shards, strict=True):
        content = shard.read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (entry["bytes"], entry["sha256"])
    assert listed["rows"] == table.num_rows == sum(entry["rows"] for entry in listed["files"])
    rows = [entry["rows"] for entry in listed["files"]]
    assert all(number == listed["rows_per_shard"] for number in rows[:-1])


def test_each_image_is_one_row_in_the_order_of_its_keys(images, run):
    _, _, table = images
    keys = table["image_key"].to_pylist()
    assert keys == sorted(set(keys)) and len(keys) == run.manifest["images"]


def test_tokens_fill_the_grid_and_are_below_the_codebooks_size(images, run):
    _, _, table = images
    width, height = run.manifest["image_grid"]
    codes = len(run.ranges["image"])
    assert table.schema.field("tokens").type.value_type in (arrow.uint16(), arrow.int32())
    for tokens, columns, rows in zip(table["tokens"].to_pylist(), table["grid_width"].to_pylist(), table["grid_height"].to_pylist()):
        assert (columns, rows) == (width, height)
        assert len(tokens) % (width * height) == 0 and all(0 <= token < codes for token in tokens)


def test_what_was_encoded_lies_in_the_image(images):
    _, _, table = images
    for box, width, height in zip(table["crop_box"].to_pylist(), table["width"].to_pylist(), table["height"].to_pylist()):
        left, top, right, bottom = box
        assert -0.5 <= left < right <= width + 0.5 and -0.5 <= top < bottom <= height + 0.5


def test_pages_that_show_an_image_are_documents_with_its_tokens(images, run):
    _, _, table = images
    first = run.ranges["image"][0]
    documents = run.documents()
    seen = 0
    for tokens, keys, count in zip(table["tokens"].to_pylist(), table["document_keys"].to_pylist(), table["page_count"].to_pylist()):
        assert len(keys) == min(count, run.job["image_shards"]["max_documents"])
        ids = {first + token for token in tokens}
        for key in set(keys) & set(documents):
            seen += ids <= set(documents[key])
    assert seen > 0


def test_masks_have_their_bits_where_their_metadata_says(images):
    _, _, table = images
    assert mask_fields(table)
    for field in mask_fields(table):
        about = masks_of(field)
        cells = about["frames"] * about["rows"] * about["columns"]
        for bitmaps in table[field.name].to_pylist():
            assert len(bitmaps) == about["views"] * len(about["layers"])
            for bitmap in bitmaps:
                bits = numpy.unpackbits(numpy.frombuffer(bitmap, numpy.uint8), bitorder="little")
                assert len(bits) == -(-cells // 8) * 8 and not bits[cells:].any()


def test_a_mae_mask_leaves_a_quarter_visible(images):
    _, _, table = images
    for field in mask_fields(table):
        about = masks_of(field)
        ratio = about["strategy"].get("random", {}).get("ratio")
        if ratio is None:
            continue
        cells = about["rows"] * about["columns"]
        for bitmap in [bitmap for bitmaps in table[field.name].to_pylist() for bitmap in bitmaps]:
            masked = numpy.unpackbits(numpy.frombuffer(bitmap, numpy.uint8), bitorder="little")[:cells]
            ids_keep, ids_masked = numpy.flatnonzero(masked == 0), numpy.flatnonzero(masked)
            assert len(ids_keep) == int(cells * (1 - ratio))
            # What an encoder sees, put back in its place by ids_restore.
            ids_restore = numpy.argsort(numpy.concatenate([ids_keep, ids_masked]))
            patches = numpy.arange(cells)
            seen = numpy.concatenate([patches[ids_keep], patches[ids_masked]])
            assert (seen[ids_restore] == patches).all()


def test_each_run_of_image_tokens_is_its_images_own_with_its_masks(images, run):
    if run.job["sequences"].get("images") is None:
        pytest.skip("this run's rows don't tell of their images")
    _, _, table = images
    rows_by_key = {row["image_key"]: row for row in table.to_pylist()}
    ids = run.ranges["image"]
    schema = parquet.read_schema(run.shards[0])
    names = [name for name in schema.names if name.startswith("image_masks_")]
    assert names
    seen = 0
    for row in run.rows():
        told = set()
        runs = zip(
            *(row[f"image_{name}"] for name in ("keys", "starts", "lengths", "offsets", "is_whole", "grid_widths", "grid_heights")),
            strict=True,
        )
        for number, (key, start, length, offset, is_whole, width, height) in enumerate(runs):
            image = rows_by_key[key]
            tokens = [token - ids[0] for token in row["input_ids"][start : start + length]]
            assert tokens == image["tokens"][offset : offset + length]
            assert (width, height) == (image["grid_width"], image["grid_height"])
            assert is_whole == (length == width * height)
            for name in names:
                about = masks_of(schema.field(name))
                each = about["views"] * len(about["layers"])
                assert about == masks_of(table.schema.field(name.removeprefix("image_")))
                assert row[name][number * each : (number + 1) * each] == image[name.removeprefix("image_")]
            told.update(range(start, start + length))
            seen += 1
        assert told == {place for place, token in enumerate(row["input_ids"]) if token in ids}
    assert seen > 0


def test_datasets_reads_the_images_by_the_cards_name(images, run):
    _, _, table = images
    found = datasets.load_dataset(str(run.folder), "images", split="train")
    assert found.num_rows == table.num_rows and found.column_names == table.column_names
    assert found[0]["tokens"] == table["tokens"][0].as_py()
    assert datasets.load_dataset(str(run.folder), split="train").num_rows == run.manifest["rows"]

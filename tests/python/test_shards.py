"""Shards as trainers read them: with pyarrow, with Hugging Face datasets, with numpy."""

import hashlib
import json

import datasets
import numpy
import pyarrow as arrow
import pyarrow.parquet as parquet
from tokenizers import Tokenizer

NO_LOSS = -100
COLUMNS = {
    "input_ids": arrow.int32(),
    "labels": arrow.int32(),
    "seq_lengths": arrow.int32(),
    "document_keys": arrow.string(),
    "document_offsets": arrow.int32(),
    "objectives": arrow.string(),
    "parts": arrow.int32(),
    "views": arrow.int32(),
    "branches": arrow.int32(),
    "prefix_lens": arrow.int32(),
    "label_shifts": arrow.int32(),
    "source_counts": arrow.int32(),
    "source_keys": arrow.string(),
    "source_starts": arrow.int32(),
    "source_ends": arrow.int32(),
}

OF_IMAGES = {
    "image_keys": arrow.string(),
    "image_starts": arrow.int32(),
    "image_lengths": arrow.int32(),
    "image_offsets": arrow.int32(),
    "image_is_whole": arrow.bool_(),
    "image_grid_widths": arrow.int32(),
    "image_grid_heights": arrow.int32(),
}


def columns_of(run):
    """The columns of a run's rows: those of their images only where its job asks for them."""
    images = run.job["sequences"].get("images")
    if images is None:
        return COLUMNS
    return COLUMNS | OF_IMAGES | {f"image_masks_{name}": arrow.binary() for name in images["masks"]}


def test_every_column_is_a_list_without_nulls(run):
    for shard in run.shards:
        schema = parquet.read_schema(shard)
        assert schema.names == list(columns_of(run))
        for name, item in columns_of(run).items():
            field = schema.field(name)
            assert not field.nullable and not field.type.value_field.nullable, field
            assert arrow.types.is_list(field.type) and field.type.value_type == item, field


def test_ids_are_split_by_byte_and_compressed_without_a_dictionary(run):
    for shard in run.shards:
        metadata = parquet.ParquetFile(shard).metadata
        for group in range(metadata.num_row_groups):
            chunks = [metadata.row_group(group).column(index) for index in range(metadata.num_columns)]
            for chunk in [chunk for chunk in chunks if chunk.path_in_schema.split(".")[0] in ("input_ids", "labels")]:
                assert "BYTE_STREAM_SPLIT" in chunk.encodings and not chunk.has_dictionary_page, chunk
                assert chunk.compression == "ZSTD" and chunk.has_offset_index, chunk


def test_the_footer_names_the_features_that_datasets_reads(run):
    for shard in run.shards:
        metadata = parquet.read_schema(shard).metadata
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        for name, item in columns_of(run).items():
            assert features[name] == {"feature": {"dtype": str(item), "_type": "Value"}, "_type": "Sequence"}


def test_files_are_numbered_without_gaps_and_hold_equal_rows_but_the_last(run):
    count = len(run.shards)
    assert [shard.name for shard in run.shards] == [f"train-{index:05}-of-{count:05}.parquet" for index in range(count)]
    assert sorted(path.name for path in (run.folder / "data").iterdir()) == sorted(shard.name for shard in run.shards)
    rows = [parquet.ParquetFile(shard).metadata.num_rows for shard in run.shards]
    assert all(number == run.manifest["rows_per_shard"] for number in rows[:-1])
    assert 0 < rows[-1] <= run.manifest["rows_per_shard"]


def test_row_groups_hold_equal_rows_but_the_last(run):
    for shard in run.shards:
        metadata = parquet.ParquetFile(shard).metadata
        rows = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        promised = run.job["shards"]["rows_per_row_group"]
        assert all(number == promised for number in rows[:-1]) and 0 < rows[-1] <= promised, rows


def test_the_manifest_is_true(run):
    files = run.manifest["files"]
    for entry, shard in zip(files, run.shards, strict=True):
        content = shard.read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (entry["bytes"], entry["sha256"])
        assert parquet.ParquetFile(shard).metadata.num_rows == entry["rows"]
        assert entry["tokens"] == entry["rows"] * run.manifest["sequence_length"]
    for name in ("rows", "tokens"):
        assert run.manifest[name] == sum(entry[name] for entry in files)
    padding = sum((numpy.array(row["input_ids"]) == run.ranges["pad"][0]).sum() for row in run.rows())
    assert run.manifest["padding_tokens"] == padding
    keys = {key for row in run.rows() for key in row["document_keys"] if key}
    assert run.manifest["documents"] == len(keys)


def test_every_id_is_in_the_vocabulary_and_named(run):
    assert run.manifest["vocabulary_size"] == run.vocabulary["size"] == len(run.vocabulary["tokens"])
    for row in run.rows():
        ids = numpy.array(row["input_ids"])
        assert ids.min() >= 0 and ids.max() < run.ranges["unused"].start


def test_labels_are_the_ids_but_for_sentinels_and_padding(run):
    silent = [*run.ranges["sentinel"], *run.ranges["pad"]]
    for row in run.rows():
        ids, labels = numpy.array(row["input_ids"]), numpy.array(row["labels"])
        assert (labels == numpy.where(numpy.isin(ids, silent), NO_LOSS, ids)).all()


def test_pieces_fill_each_row_and_continue_their_documents(run):
    reached = {}
    for row in run.rows():
        assert len(row["input_ids"]) == len(row["labels"]) == sum(row["seq_lengths"]) == run.manifest["sequence_length"]
        pieces = zip(row["seq_lengths"], row["document_keys"], row["document_offsets"], strict=True)
        for length, key, offset in pieces:
            assert length > 0
            if key:
                assert offset == reached.get(key, 0), key
                reached[key] = offset + length


def test_every_piece_says_which_tokens_of_its_document_it_is_made_of(run):
    tokens_of = {key: len(tokens) for key, tokens in run.documents().items()}
    for row in run.rows():
        sources = zip(row["source_keys"], row["source_starts"], row["source_ends"], strict=True)
        for key, count in zip(row["document_keys"], row["source_counts"], strict=True):
            of_piece = [next(sources) for _ in range(count)]
            assert (count == 0) == (key == ""), row
            assert all(document == key and 0 <= start < end <= tokens_of[key] for document, start, end in of_piece)
        assert next(sources, None) is None


def test_every_document_ends_once(run):
    end = run.ranges["eod"][0]
    for key, tokens in run.documents().items():
        assert tokens.index(end) == len(tokens) - 1, key


def test_text_decodes_with_the_tokenizer_beside_the_shards(run):
    tokenizer = Tokenizer.from_file(str(run.folder / "tokenizer.json"))
    text = run.ranges["text"]
    for key, tokens in run.documents().items():
        words = tokenizer.decode([token for token in tokens if token in text], skip_special_tokens=False)
        assert words.count("<") > 1 and words.count(">") > 1, key


def test_datasets_shows_the_right_types(run, tmp_path):
    files = [str(shard) for shard in run.shards]
    by_file = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path / "files"))
    by_folder = datasets.load_dataset(str(run.folder), split="train", cache_dir=str(tmp_path / "folder"))
    for dataset in (by_file, by_folder):
        assert dataset.num_rows == run.manifest["rows"]
        for name, item in COLUMNS.items():
            feature = dataset.features[name]
            assert type(feature).__name__ in ("List", "Sequence"), feature
            assert feature.feature == datasets.Value(str(item)), feature
        assert dataset[0]["input_ids"] == next(run.rows())["input_ids"]


def test_a_training_loop_gets_the_right_loss_mask(run):
    batches, seen = 0, 0
    for shard in run.shards:
        for batch in parquet.ParquetFile(shard).iter_batches(batch_size=4, columns=["input_ids", "labels"]):
            ids = numpy.stack(batch.column("input_ids").to_numpy(zero_copy_only=False))
            labels = numpy.stack(batch.column("labels").to_numpy(zero_copy_only=False))
            # Position i predicts token i + 1: labels are stored unshifted, as every Hugging Face model wants them.
            predicted, mask = ids[:, 1:], labels[:, 1:] != NO_LOSS
            assert (predicted[mask] == labels[:, 1:][mask]).all() and mask.any()
            batches, seen = batches + 1, seen + ids.size
    assert batches > 0 and seen == run.manifest["tokens"]

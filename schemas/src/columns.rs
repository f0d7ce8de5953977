//! Every column of Pageloom's tables, by constructor.

use arrow::array::{
    BinaryArray, FixedSizeBinaryArray, Int32Array, ListArray, StringArray, StructArray, UInt16Array, UInt32Array,
    UInt64Array,
};
use arrow::datatypes::{DataType, Field, Fields};

use crate::{Column, Key};

/// Identity of the row's document or image.
pub fn key() -> Column<FixedSizeBinaryArray> {
    Column::required("key", key_type())
}

/// Absolute URL of the row's document or image.
pub fn url() -> Column<StringArray> {
    Column::required("url", DataType::Utf8)
}

/// The `Content-Type` that came with a page, where there was one.
pub fn content_type() -> Column<StringArray> {
    Column::optional("content_type", DataType::Utf8)
}

/// The `X-Robots-Tag`s that came with a page, one a line, where there was one: who may not use it for what.
pub fn robots() -> Column<StringArray> {
    Column::optional("robots", DataType::Utf8)
}

/// A page's bytes as they were read.
pub fn body() -> Column<BinaryArray> {
    Column::required("body", DataType::Binary)
}

/// A page's HTML, decoded.
pub fn html() -> Column<StringArray> {
    Column::required("html", DataType::Utf8)
}

/// Characters of a page's HTML, which is gone when filters compare its text with it.
pub fn page_chars() -> Column<UInt64Array> {
    Column::required("page_chars", DataType::UInt64)
}

/// A page's minimal HTML; each image stands there with an empty `src`.
pub fn markup() -> Column<StringArray> {
    Column::required("markup", DataType::Utf8)
}

/// The images of `markup`, in order: `{key, url, tag_start, src, tag_end, alt, title, caption}`, in bytes of `markup`.
pub fn markup_images() -> Column<ListArray> {
    Column::required("markup_images", list_of(DataType::Struct(image_place_fields())))
}

/// A document's text as it is read, without its title, for filters: whitespace collapsed, a line for each block, nothing
/// for images.
pub fn text() -> Column<StringArray> {
    Column::required("text", DataType::Utf8)
}

/// A document's text tokens, without its images'.
pub fn tokens() -> Column<ListArray> {
    Column::required("tokens", list_of(DataType::Int32))
}

/// The images of `tokens`, in order: as `markup_images`, in tokens.
pub fn image_slots() -> Column<ListArray> {
    Column::required("image_slots", list_of(DataType::Struct(image_place_fields())))
}

/// Fields of one image's place in a document.
pub fn image_place_fields() -> Fields {
    Fields::from(vec![
        Field::new("key", key_type(), false),
        Field::new("url", DataType::Utf8, false),
        Field::new("tag_start", DataType::UInt32, false),
        Field::new("src", DataType::UInt32, false),
        Field::new("tag_end", DataType::UInt32, false),
        alt().field(),
        title().field(),
        caption().field(),
    ])
}

/// Position of a document in the global order; uniform over `u64`.
pub fn order() -> Column<UInt64Array> {
    Column::required("order", DataType::UInt64)
}

/// Bucket of an exchange that a row belongs to.
pub fn bucket() -> Column<UInt32Array> {
    Column::required("bucket", DataType::UInt32)
}

/// What stands in for an image, where the page says so: its `alt`.
pub fn alt() -> Column<StringArray> {
    Column::optional("alt", DataType::Utf8)
}

/// An image's `title`, where the page gives it one.
pub fn title() -> Column<StringArray> {
    Column::optional("title", DataType::Utf8)
}

/// The `<figcaption>` of an image, where the page gives it one.
pub fn caption() -> Column<StringArray> {
    Column::optional("caption", DataType::Utf8)
}

/// URL of the document that shows an image.
pub fn document_url() -> Column<StringArray> {
    Column::required("document_url", DataType::Utf8)
}

/// Absolute URL of an image that a source holds, where images are wanted that no document shows.
pub fn image_url() -> Column<StringArray> {
    Column::optional("image_url", DataType::Utf8)
}

/// Key of the document that shows an image.
pub fn document_key() -> Column<FixedSizeBinaryArray> {
    Column::required("document_key", key_type())
}

/// Which source of the job holds the image; null where no source does.
pub fn source() -> Column<UInt32Array> {
    Column::optional("source", DataType::UInt32)
}

/// How an image's bytes are wrapped where they lie.
pub fn container() -> Column<StringArray> {
    Column::optional("container", DataType::Utf8)
}

/// Path of the object that holds the image, relative to its source.
pub fn path() -> Column<StringArray> {
    Column::optional("path", DataType::Utf8)
}

/// First byte of the image's container in that object.
pub fn offset() -> Column<UInt64Array> {
    Column::optional("offset", DataType::UInt64)
}

/// Bytes of the image's container in that object.
pub fn length() -> Column<UInt64Array> {
    Column::optional("length", DataType::UInt64)
}

/// What lies in the image's container, where that can't be read again by itself.
pub fn inline() -> Column<BinaryArray> {
    Column::optional("inline", DataType::Binary)
}

/// An image file's bytes.
pub fn bytes() -> Column<BinaryArray> {
    Column::required("bytes", DataType::Binary)
}

/// SHA-256 of an image file's bytes.
pub fn sha256() -> Column<FixedSizeBinaryArray> {
    Column::required("sha256", DataType::FixedSizeBinary(32))
}

/// Width of the image as stored, in pixels.
pub fn width() -> Column<UInt32Array> {
    Column::required("width", DataType::UInt32)
}

/// Height of the image as stored, in pixels.
pub fn height() -> Column<UInt32Array> {
    Column::required("height", DataType::UInt32)
}

/// What the encoder saw of the image: left, top, right and bottom of each crop, in pixels of the whole image.
pub fn crop_box() -> Column<ListArray> {
    Column::required("crop_box", list_of(DataType::Float32))
}

/// 64 bits that are alike for images that look alike; null where it wasn't asked for.
pub fn perceptual_hash() -> Column<UInt64Array> {
    Column::optional("perceptual_hash", DataType::UInt64)
}

/// Resized and cropped pixels: RGB, 8 bits each, row by row; of several crops, one after another.
pub fn pixels() -> Column<BinaryArray> {
    Column::required("pixels", DataType::Binary)
}

/// BLAKE3 of the encoder's identity and an image's pixels: what its codes follow from.
pub fn encoded_from() -> Column<FixedSizeBinaryArray> {
    Column::required("encoded_from", DataType::FixedSizeBinary(32))
}

/// [`encoded_from`] of the codes that an earlier run found for the image, where there is one.
pub fn known_from() -> Column<FixedSizeBinaryArray> {
    Column::optional("known_from", DataType::FixedSizeBinary(32))
}

/// The codes that an earlier run found for the image, where there is one.
pub fn known_codes() -> Column<ListArray> {
    Column::optional("known_codes", list_of(DataType::UInt32))
}

/// Columns of an image's token grid.
pub fn grid_width() -> Column<UInt16Array> {
    Column::required("grid_width", DataType::UInt16)
}

/// Rows of an image's token grid.
pub fn grid_height() -> Column<UInt16Array> {
    Column::required("grid_height", DataType::UInt16)
}

/// An image's codes, in the encoder's order: numbers below the codebook's size, not yet ids of the vocabulary. Those of
/// several crops follow one another.
pub fn codes() -> Column<ListArray> {
    Column::required("codes", list_of(DataType::UInt32))
}

/// One image's tokens for one document: `{key, grid_width, grid_height, codes}`.
pub fn image() -> Column<StructArray> {
    Column::required("image", DataType::Struct(image_fields()))
}

/// Fields of [`image`].
pub fn image_fields() -> Fields {
    Fields::from(vec![key().field(), grid_width().field(), grid_height().field(), codes().field()])
}

/// All images of one document that have tokens, in no order; null where it has none.
pub fn images() -> Column<ListArray> {
    let item = Field::new("item", DataType::Struct(image_fields()), true);
    Column::optional("images", DataType::List(item.into()))
}

/// A document's tokens with its images' tokens where they stand.
pub fn document_tokens() -> Column<ListArray> {
    Column::required("document_tokens", list_of(DataType::Int32))
}

/// Where image tokens stand: `{start, end, key, offset}`, in tokens of the column beside it.
pub fn image_runs() -> Column<ListArray> {
    Column::required("image_runs", list_of(DataType::Struct(image_run_fields())))
}

/// Fields of one run of [`image_runs`]: `offset` of the image's tokens come before it.
pub fn image_run_fields() -> Fields {
    let number = |name| Field::new(name, DataType::UInt32, false);
    Fields::from(vec![number("start"), number("end"), key().field(), number("offset")])
}

/// Fields of one run of tokens.
pub fn run_fields() -> Fields {
    Fields::from(vec![Field::new("start", DataType::UInt32, false), Field::new("end", DataType::UInt32, false)])
}

/// The passages of `tokens`, in order: `{start, end, gold_step}`; an ordinary page has none.
pub fn passages() -> Column<ListArray> {
    Column::required("passages", list_of(DataType::Struct(passage_fields())))
}

/// Fields of one passage: its step is null where it is noise.
pub fn passage_fields() -> Fields {
    Fields::from(vec![
        Field::new("start", DataType::UInt32, false),
        Field::new("end", DataType::UInt32, false),
        Field::new("gold_step", DataType::UInt32, true),
    ])
}

/// What a row was joined of, in order: `{document, start, end, document_offset}`, the stretch of the row's tokens that is
/// from one document, and where it begins there.
pub fn joined() -> Column<ListArray> {
    Column::required("joined", list_of(DataType::Struct(joined_fields())))
}

/// Fields of one stretch of [`joined`].
pub fn joined_fields() -> Fields {
    Fields::from(vec![
        Field::new("document", key_type(), false),
        Field::new("start", DataType::UInt32, false),
        Field::new("end", DataType::UInt32, false),
        Field::new("document_offset", DataType::UInt32, false),
    ])
}

/// Which tokens were put in front of documents by retrieval, breaks included: `{start, end}`.
pub fn retrieved_runs() -> Column<ListArray> {
    Column::required("retrieved_runs", list_of(DataType::Struct(run_fields())))
}

/// Documents that were chosen to stand in front of one, in that order.
pub fn neighbours() -> Column<ListArray> {
    Column::required("neighbours", list_of(key_type()))
}

/// Bucket of the documents that a row stands in front of.
pub fn for_bucket() -> Column<UInt32Array> {
    Column::required("for_bucket", DataType::UInt32)
}

/// Key of the document that a row stands in front of.
pub fn for_document() -> Column<FixedSizeBinaryArray> {
    Column::required("for_document", key_type())
}

/// Which of the documents in front of one a row is, from 0.
pub fn place_in_front() -> Column<UInt32Array> {
    Column::required("place_in_front", DataType::UInt32)
}

/// How many blocks have begun in the document that a block begins in.
pub fn block_number() -> Column<UInt32Array> {
    Column::required("block_number", DataType::UInt32)
}

/// What the objective makes of one document: one example, or a few that belong together.
pub fn examples() -> Column<ListArray> {
    Column::required("examples", list_of(DataType::Struct(example_fields())))
}

/// Fields of one example. Lists are empty where the objective has nothing to say.
pub fn example_fields() -> Fields {
    let list = |name, item| Field::new(name, list_of(item), false);
    let plain = |name, data_type| Field::new(name, data_type, false);
    Fields::from(vec![
        list("input_ids", DataType::Int32),
        list("labels", DataType::Int32),
        list("image_runs", DataType::Struct(run_fields())),
        list("image_sources", DataType::UInt32),
        plain("predicts_here", DataType::Boolean),
        plain("prefix_len", DataType::UInt32),
        list("position_ids", DataType::UInt32),
        list("block_position_ids", DataType::UInt32),
        list("loss_weights", DataType::Float32),
        list("token_type_ids", DataType::UInt32),
        Field::new("is_random_next", DataType::Boolean, true),
        plain("objective", DataType::Utf8),
        plain("part", DataType::UInt32),
        plain("branch", DataType::UInt32),
        plain("view", DataType::UInt32),
        list("source", DataType::Struct(run_fields())),
        plain("left_out", DataType::UInt32),
    ])
}

/// What a model reads.
pub fn input_ids() -> Column<ListArray> {
    Column::required("input_ids", list_of(DataType::Int32))
}

/// What a model learns, aligned with `input_ids` (unshifted); -100 where there is no loss.
pub fn labels() -> Column<ListArray> {
    Column::required("labels", list_of(DataType::Int32))
}

/// Lengths of the pieces of documents packed into a row; they add up to the row's length.
pub fn seq_lengths() -> Column<ListArray> {
    Column::required("seq_lengths", list_of(DataType::Int32))
}

/// The document of each piece, as 32 hexadecimal digits; empty for padding.
pub fn document_keys() -> Column<ListArray> {
    Column::required("document_keys", list_of(DataType::Utf8))
}

/// Where each piece starts in its document's example, in tokens; 0 for padding.
pub fn document_offsets() -> Column<ListArray> {
    Column::required("document_offsets", list_of(DataType::Int32))
}

/// The objective and variant that made each piece, as `causal_masking/paper`; empty for padding.
pub fn objectives() -> Column<ListArray> {
    Column::required("objectives", list_of(DataType::Utf8))
}

/// Which part of a mixture made each piece, from 0; 0 where there is no mixture.
pub fn parts() -> Column<ListArray> {
    Column::required("parts", list_of(DataType::Int32))
}

/// Which view of its document each piece is of, from 0.
pub fn views() -> Column<ListArray> {
    Column::required("views", list_of(DataType::Int32))
}

/// Which of the examples that belong together each piece is of, from 0.
pub fn branches() -> Column<ListArray> {
    Column::required("branches", list_of(DataType::Int32))
}

/// How many tokens at the start of each piece see each other in both directions; 0 for a causal mask.
pub fn prefix_lens() -> Column<ListArray> {
    Column::required("prefix_lens", list_of(DataType::Int32))
}

/// By how many positions a trainer shifts the labels of each piece: 1 where the token before predicts, 0 where the label's
/// own position does.
pub fn label_shifts() -> Column<ListArray> {
    Column::required("label_shifts", list_of(DataType::Int32))
}

/// Which phase of training a row is for, from 0; only where the job's objective has several.
pub fn phase() -> Column<Int32Array> {
    Column::required("phase", DataType::Int32)
}

/// How many of a row's sources each piece has; 0 for padding.
pub fn source_counts() -> Column<ListArray> {
    Column::required("source_counts", list_of(DataType::Int32))
}

/// The document of each source, as 32 hexadecimal digits. A source is a range of a document's tokens that are in a piece's
/// example, in their order before the objective moved any.
pub fn source_keys() -> Column<ListArray> {
    Column::required("source_keys", list_of(DataType::Utf8))
}

/// Where each source starts, in tokens of its document.
pub fn source_starts() -> Column<ListArray> {
    Column::required("source_starts", list_of(DataType::Int32))
}

/// Where each source ends, in tokens of its document. What was put behind a document when it was joined with others, its end
/// or a break, counts as its last token.
pub fn source_ends() -> Column<ListArray> {
    Column::required("source_ends", list_of(DataType::Int32))
}

/// Positions that differ from counting, one per token; only where the job's objective has such.
pub fn position_ids() -> Column<ListArray> {
    Column::required("position_ids", list_of(DataType::Int32))
}

/// A second row of positions, within spans; only where the job's objective has one.
pub fn block_position_ids() -> Column<ListArray> {
    Column::required("block_position_ids", list_of(DataType::Int32))
}

/// Which of two segments each token is in, 0 or 1; only where the job's objective has two.
pub fn token_type_ids() -> Column<ListArray> {
    Column::required("token_type_ids", list_of(DataType::Int32))
}

/// Whether a row's second segment is another document's (1) or follows the first (0); -100 where there is nothing to say,
/// and only where the job's objective has segments.
pub fn next_sentence_label() -> Column<Int32Array> {
    Column::required("next_sentence_label", DataType::Int32)
}

/// The weight of each token's loss; only where the job's objective has weights.
pub fn loss_weights() -> Column<ListArray> {
    Column::required("loss_weights", list_of(DataType::Float32))
}

/// The image of each run of image tokens in a row, as 32 hexadecimal digits; only where the job asks for images in rows.
pub fn run_images() -> Column<ListArray> {
    Column::required("image_keys", list_of(DataType::Utf8))
}

/// Where each run of image tokens starts in its row.
pub fn run_starts() -> Column<ListArray> {
    Column::required("image_starts", list_of(DataType::Int32))
}

/// How many tokens each run of image tokens has, never none.
pub fn run_lengths() -> Column<ListArray> {
    Column::required("image_lengths", list_of(DataType::Int32))
}

/// How many of its image's tokens come before each run: 0 unless packing or the objective has cut the image.
pub fn run_offsets() -> Column<ListArray> {
    Column::required("image_offsets", list_of(DataType::Int32))
}

/// Whether each run has all tokens of its image.
pub fn run_is_whole() -> Column<ListArray> {
    Column::required("image_is_whole", list_of(DataType::Boolean))
}

/// Columns of the token grid of each run's image.
pub fn run_grid_widths() -> Column<ListArray> {
    Column::required("image_grid_widths", list_of(DataType::Int32))
}

/// Rows of the token grid of each run's image.
pub fn run_grid_heights() -> Column<ListArray> {
    Column::required("image_grid_heights", list_of(DataType::Int32))
}

/// An image, as 32 hexadecimal digits.
pub fn image_key() -> Column<StringArray> {
    Column::required("image_key", DataType::Utf8)
}

/// SHA-256 of an image file's bytes, as 64 hexadecimal digits.
pub fn image_sha256() -> Column<StringArray> {
    Column::required("sha256", DataType::Utf8)
}

/// An image's codes, in the tokenizer's order: `uint16` where the codebook has 65,536 at most, else `int32`.
pub fn image_codes(item: DataType) -> Field {
    Field::new("tokens", list_of(item), false)
}

/// The different texts of one kind that pages give an image, in alphabetical order.
pub fn image_texts(name: &str) -> Column<ListArray> {
    Column::required(name, list_of(DataType::Utf8))
}

/// How many documents show the image.
pub fn page_count() -> Column<UInt32Array> {
    Column::required("page_count", DataType::UInt32)
}

/// Fingerprint of how the image's file became the encoder's pixels.
pub fn preprocessing() -> Column<StringArray> {
    Column::required("preprocessing", DataType::Utf8)
}

/// Digest of the image tokenizer.
pub fn image_tokenizer() -> Column<StringArray> {
    Column::required("tokenizer", DataType::Utf8)
}

/// Masks of an image, one for each view: one bit per cell in raster order, the lowest bit of a byte first. The field's
/// metadata says the rest.
pub fn masks(name: &str) -> Column<ListArray> {
    Column::required(name, list_of(DataType::Binary))
}

/// Arrow type of a key.
pub fn key_type() -> DataType {
    DataType::FixedSizeBinary(Key::BYTES as i32)
}

/// `list<item: data_type not null>`, the only list shape in these tables.
pub fn list_of(data_type: DataType) -> DataType {
    DataType::List(Field::new("item", data_type, false).into())
}

//! Objectives that take blocks, or the text of tokens, as a job has them.

use std::collections::BTreeMap;
use std::fs::File;
use std::num::NonZeroU32;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int32Type;
use pageloom::objectives::{
    CausalMasking, Cuts, Fim, Level, Mixture, Mlm, ObjectiveConfig, ObjectiveSettings, Part, SpansAcross, Variant,
};
use pageloom::packing::{ImagesAtCuts, OneDocument, PackingConfig, PackingSettings, RowLength};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::objectives::{picture, setting, with};
use super::site::{Finished, PARAGRAPH, Site, done, pageloom, text};

pub const PAGES: usize = 14;

/// Pages of different lengths, some with images, so many that they fall into several buckets.
pub fn site() -> Site {
    let mut site = Site::new();
    for shade in [40, 90, 160] {
        site = site.with(&format!("{shade}.bmp"), picture(shade));
    }
    for page in 0..PAGES {
        let images = (0..page % 3).map(|image| format!("<p>Seen from the pier: <img src={}.bmp></p>", [40, 90][image]));
        let texts =
            (0..1 + page * 5 % 7).map(|number| format!("{PARAGRAPH}<p>Keeper {page}, night {number}: nothing.</p>"));
        let body: String = texts.chain(images).collect();
        site = site.with(&format!("{page:02}.html"), format!("<title>Page {page}</title>{body}"));
    }
    site
}

/// Several units in each stage.
pub const UNITS: &str = "units.bytes=6000";

pub fn one_document(length: u32, image_spans: ImagesAtCuts, row_length: RowLength) -> String {
    let sequence_length = NonZeroU32::new(length).unwrap();
    let rest = OneDocument::example();
    setting(
        "sequences.packing",
        &PackingConfig::OneDocument(OneDocument { sequence_length, image_spans, row_length, ..rest }),
    )
}

fn masking(variant: Variant) -> CausalMasking {
    CausalMasking { variant, lambda: 2.0, ..CausalMasking::example() }
}

/// Every objective that takes blocks, as itself and with what its settings can change.
fn of_blocks() -> Vec<ObjectiveConfig> {
    let context = |cuts| Fim { level: Level::Context, rate: 0.9, cuts, ..Fim::example() };
    let clipped = CausalMasking { spans_across: Some(SpansAcross::Clip), ..masking(Variant::Metaseq) };
    let parts =
        [ObjectiveConfig::CausalMasking(masking(Variant::Metaseq)), ObjectiveConfig::Fim(context(Cuts::Tokens))];
    let parts = parts.map(|objective| Part { weight: 1.0, objective }).into();
    vec![
        ObjectiveConfig::CausalMasking(masking(Variant::Metaseq)),
        ObjectiveConfig::CausalMasking(clipped),
        ObjectiveConfig::CausalMasking(masking(Variant::Cm3leon)),
        ObjectiveConfig::CausalMasking(CausalMasking { full_document_rotation: 0.5, ..masking(Variant::Cm3leon) }),
        ObjectiveConfig::Fim(context(Cuts::Tokens)),
        ObjectiveConfig::Fim(context(Cuts::Characters)),
        ObjectiveConfig::Mixture(Mixture { parts }),
    ]
}

/// Runs a job with one unit at a time and with two, and holds the shards and the deep verification against each other.
pub fn same_for_any_parallelism(site: &Site, name: &str, settings: &[&str]) -> (Finished, u64) {
    let once = with(site, &format!("{name}-1"), settings, "1");
    let twice = with(site, &format!("{name}-2"), settings, "2");
    assert_eq!(once.data(), twice.data(), "{settings:?}");
    let deep = done(&["verify", &text(&twice.out), "--deep"]).stdout;
    let inverted = deep.lines().find_map(|line| line.strip_suffix(" examples give their document's tokens back"));
    (once, inverted.unwrap().parse().unwrap())
}

#[test]
fn every_objective_of_blocks_gives_all_of_them_back_and_the_same_bytes() {
    let site = site();
    let ways = [ImagesAtCuts::KeepWhole, ImagesAtCuts::DropRest, ImagesAtCuts::Cut];
    for (index, objective) in of_blocks().iter().enumerate() {
        let packing = one_document(600, ways[index % 3], RowLength::SequencePlusOne);
        let objective = setting("sequences.objective", objective);
        let layout = "sequences.interleave.layout=\"cm3leon\"";
        let settings = [UNITS, layout, &packing, &objective, "sequences.views=2"];
        let (finished, inverted) = same_for_any_parallelism(&site, &index.to_string(), &settings);
        let (blocks, rows) = (finished.count("blocks"), finished.count("rows"));
        assert_eq!(
            (finished.count("documents"), rows, inverted),
            (PAGES as u64, 2 * blocks, 2 * blocks),
            "{objective}"
        );
        assert_eq!(finished.count("tokens"), rows * 601, "{objective}");
    }
}

/// One source of a piece: its document, and which of its tokens.
pub type Source = (String, std::ops::Range<usize>);

/// Every piece of every row but padding: its document, its tokens, and what its example is made of.
pub fn pieces(finished: &Finished) -> Vec<(String, Vec<i32>, Vec<Source>)> {
    let mut pieces = Vec::new();
    for name in finished.data().keys().filter(|name| name.starts_with("data/")) {
        let file = File::open(finished.out.join(name)).unwrap();
        for batch in ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap() {
            let batch = batch.unwrap();
            (0..batch.num_rows()).for_each(|row| pieces.extend(pieces_of(&batch, row)));
        }
    }
    pieces
}

fn pieces_of(batch: &RecordBatch, row: usize) -> Vec<(String, Vec<i32>, Vec<Source>)> {
    let list = |name: &str| batch.column_by_name(name).unwrap().as_list::<i32>().value(row);
    let numbers = |name: &str| list(name).as_primitive::<Int32Type>().values().to_vec();
    let words = |name: &str| -> Vec<String> {
        list(name).as_string::<i32>().iter().map(|word| word.unwrap().to_owned()).collect()
    };
    let (ids, keys, source_keys) = (numbers("input_ids"), words("document_keys"), words("source_keys"));
    let (starts, ends) = (numbers("source_starts"), numbers("source_ends"));
    let (mut start, mut source) = (0, 0);
    let mut pieces = Vec::new();
    let lengths = numbers("seq_lengths").into_iter().zip(numbers("source_counts"));
    for (key, (length, count)) in keys.into_iter().zip(lengths) {
        let (end, last) = (start + length as usize, source + count as usize);
        let range = |index: usize| starts[index] as usize..ends[index] as usize;
        let sources = (source..last).map(|index| (source_keys[index].clone(), range(index))).collect();
        assert_eq!(key.is_empty(), count == 0);
        if !key.is_empty() {
            pieces.push((key, ids[start..end].to_vec(), sources));
        }
        (start, source) = (end, last);
    }
    assert_eq!((start, source), (ids.len(), source_keys.len()));
    pieces
}

/// Each document's tokens with its end.
pub fn documents(site: &Site, name: &str, settings: &[&str]) -> BTreeMap<String, Vec<i32>> {
    let plain = ["sequences.objective={ left_to_right = {} }", "sequences.packing={ passthrough = {} }"];
    let finished = with(site, name, &[settings, &plain].concat(), "2");
    pieces(&finished).into_iter().map(|(key, tokens, _)| (key, tokens)).collect()
}

#[test]
fn every_token_of_a_block_is_traced_to_its_document() {
    let site = site();
    let settings = [UNITS, "sequences.interleave.layout=\"plain\""];
    let documents = documents(&site, "documents", &settings);
    assert_eq!(documents.len(), PAGES);
    let unmoved = setting(
        "sequences.objective",
        &ObjectiveConfig::Fim(Fim { level: Level::Context, rate: 0.0, ..Fim::example() }),
    );
    for (name, images) in
        [("whole", ImagesAtCuts::KeepWhole), ("cut", ImagesAtCuts::Cut), ("drop", ImagesAtCuts::DropRest)]
    {
        let packing = one_document(300, images, RowLength::Sequence);
        let finished = with(&site, name, &[&settings, &[packing.as_str(), &unmoved][..]].concat(), "2");
        let (mut found, mut several) = (0, 0);
        for (key, tokens, sources) in pieces(&finished) {
            assert_eq!(key, sources[0].0);
            several += usize::from(sources.len() > 1);
            let traced: Vec<i32> =
                sources.iter().flat_map(|(document, range)| &documents[document][range.clone()]).copied().collect();
            assert_eq!(tokens, traced);
            found += tokens.len() as u64;
        }
        let all: usize = documents.values().map(Vec::len).sum();
        assert_eq!(found + finished.count("dropped_tokens"), all as u64, "{name}");
        assert_eq!(finished.count("dropped_tokens") > 0, images == ImagesAtCuts::DropRest);
        assert!(several > 2, "{name}: {several}");
    }
}

#[test]
fn sources_of_single_documents_are_theirs() {
    let site = site();
    let documents = documents(&site, "documents", &[]);
    let fairseq = CausalMasking { max_tokens: NonZeroU32::new(100), ..masking(Variant::Fairseq) };
    let objective = setting("sequences.objective", &ObjectiveConfig::CausalMasking(fairseq));
    let finished = with(&site, "fairseq", &[&objective, "sequences.packing={ passthrough = {} }"], "2");
    let mut num_tokens: BTreeMap<String, usize> = BTreeMap::new();
    for (key, _, sources) in pieces(&finished) {
        assert!(sources.iter().all(|(document, _)| *document == key));
        *num_tokens.entry(key).or_default() += sources.iter().map(|(_, range)| range.len()).sum::<usize>();
    }
    // All but the document's end, and what the objective says that it left out.
    let all: usize = documents.values().map(|tokens| tokens.len() - 1).sum();
    assert!(num_tokens.values().sum::<usize>() <= all && num_tokens.len() == PAGES);
}

#[test]
fn blocks_in_rows_of_another_length_are_refused_with_their_line() {
    let site = site();
    let metaseq = setting("sequences.objective", &ObjectiveConfig::CausalMasking(masking(Variant::Metaseq)));
    for packing in PackingConfig::examples() {
        let packing_setting = setting("sequences.packing", &packing);
        let said = pageloom(&["check", &text(&site.job()), "--set", &metaseq, "--set", &packing_setting]);
        match packing {
            PackingConfig::OneDocument(_) => {
                assert!(said.stdout.contains("documents are joined into blocks of 2048 tokens"), "{said:#?}");
            }
            _ => assert!(said.code == 1 && said.stderr.contains("each block has a row of its own"), "{said:#?}"),
        }
    }
}

#[test]
fn a_mixture_of_blocks_and_documents_is_refused() {
    let site = site();
    let parts = [ObjectiveConfig::CausalMasking(masking(Variant::Metaseq)), ObjectiveConfig::Fim(Fim::example())];
    let parts = parts.map(|objective| Part { weight: 1.0, objective }).into();
    let mixture = setting("sequences.objective", &ObjectiveConfig::Mixture(Mixture { parts }));
    let said = pageloom(&["check", &text(&site.job()), "--set", &mixture]);
    assert!(said.code == 1 && said.stderr.contains("part 0 takes packed blocks, but part 1"), "{said:#?}");
}

#[test]
fn documents_are_cut_between_characters_and_words_are_hidden_whole() {
    let site = site();
    let fim = ObjectiveConfig::Fim(Fim { cuts: Cuts::Characters, rate: 1.0, ..Fim::example() });
    let words = ObjectiveConfig::Mlm(Mlm { whole_words: true, ..Mlm::example() });
    for (name, objective, made) in [("fim", fim, "fim/document_characters"), ("mlm", words, "mlm/bert_whole_words")] {
        let objective = setting("sequences.objective", &objective);
        let plain = "sequences.interleave.layout=\"plain\"";
        let (finished, inverted) = same_for_any_parallelism(&site, name, &[UNITS, plain, &objective]);
        assert_eq!(inverted, PAGES as u64);
        let json = done(&["show", &text(&finished.out), "--json"]).stdout;
        assert!(json.contains(made), "{json}");
    }
}

#[test]
fn a_tokenizer_that_gives_no_text_back_is_refused_for_cuts_between_characters() {
    let site = site();
    let tokenizer = serde_json::json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": null, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null,
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": {"[UNK]": 0, "lamp": 1, "##s": 2}}});
    std::fs::write(site.path("words.json"), tokenizer.to_string()).unwrap();
    let fim = setting("sequences.objective", &ObjectiveConfig::Fim(Fim { cuts: Cuts::Characters, ..Fim::example() }));
    let words = setting("sequences.objective", &ObjectiveConfig::Mlm(Mlm { whole_words: true, ..Mlm::example() }));
    let check = |objective: &str| {
        pageloom(&["check", &text(&site.job()), "--set", "tokenizers.text=\"words.json\"", "--set", objective])
    };
    let refused = check(&fim);
    assert!(refused.code == 1 && refused.stderr.contains("don't give a text back"), "{refused:#?}");
    assert_eq!(check(&words).code, 0);
}

#[test]
fn show_tells_what_a_block_is_made_of() {
    let site = site();
    let cm3leon = setting("sequences.objective", &ObjectiveConfig::CausalMasking(masking(Variant::Cm3leon)));
    let packing = one_document(600, ImagesAtCuts::KeepWhole, RowLength::Sequence);
    let finished = with(&site, "out", &[&cm3leon, &packing], "2");
    let shown = done(&["show", &text(&finished.out), "--row", "1"]).stdout;
    assert!(shown.matches("of document ").count() > 1 && shown.contains("file:///"), "{shown}");
}

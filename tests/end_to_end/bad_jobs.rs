//! A job that is wrong is refused, with its line and a remedy, before anything is written.

use std::fs;

use super::site::{PARAGRAPH, Site, pageloom, run, text};

/// Replaces a piece of the job, and expects `check` and `run` to refuse it with all these words and to write nothing.
fn refused(replacements: &[(&str, &str)], words: &[&str]) {
    let site = Site::new().with("page.html", PARAGRAPH);
    let mut job = fs::read_to_string(site.job()).unwrap();
    for (piece, replacement) in replacements {
        assert!(job.contains(piece), "{piece} is not in the job");
        job = job.replacen(piece, replacement, 1);
    }
    fs::write(site.job(), job).unwrap();
    let (job, out) = (text(&site.job()), site.path("out"));
    for arguments in [vec!["check", &job], vec!["run", &job, "--out", &text(&out)]] {
        let said = pageloom(&arguments);
        assert_eq!(said.code, 1, "{said:#?}");
        for word in words {
            assert!(said.stderr.contains(word), "no {word:?} in:\n{}", said.stderr);
        }
    }
    assert!(!out.exists(), "a refused job has written");
}

#[test]
fn a_misspelt_section_is_named_with_its_line_and_the_right_word() {
    refused(&[("seed = 7", "sede = 7")], &["job.toml:1: unknown section `sede`", "did you mean `seed`?"]);
}

#[test]
fn a_misspelt_setting_is_named_with_its_line_and_the_right_word() {
    refused(
        &[("minimal_html = {}", "minimal_html = { min_txt_chars = 3 }")],
        &["job.toml:10: unknown field `min_txt_chars`", "did you mean `min_text_chars`?"],
    );
}

#[test]
fn a_misspelt_step_is_named_with_its_line_and_the_right_word() {
    refused(&[("minimal_html = {}", "minimalhtml = {}")], &["job.toml:10", "did you mean `minimal_html`?"]);
}

#[test]
fn an_objective_without_its_settings_is_told_how_it_is_written() {
    refused(&[("{ causal_masking = {} }", "\"causal_masking\"")], &["is a name alone", "`{ causal_masking = {} }`"]);
}

#[test]
fn a_number_out_of_its_range_is_told_the_range() {
    refused(&[("sequence_length = 512", "sequence_length = 0")], &["expected a number from 1 to 4294967295"]);
}

#[test]
fn two_trees_whose_files_would_have_the_same_addresses_are_refused() {
    let source = "[[sources]]\nhtml_files = { path = \"site\" }\n";
    refused(
        &[(source, &source.repeat(2))],
        &["job.toml:5", "at the address file:///page.html, and so has sources.0.html_files", "`paths`"],
    );
}

#[test]
fn an_output_that_lies_below_its_input_is_refused_at_once() {
    let site = Site::new().with("page.html", PARAGRAPH);
    let out = site.path("site").join("out");
    let said = pageloom(&["run", &text(&site.job()), "--out", &text(&out)]);
    assert_eq!(said.code, 1, "{said:#?}");
    assert!(said.stderr.contains("job.toml:3 reads its input from") && said.stderr.contains("outside"), "{said:#?}");
    assert!(!out.exists());
}

#[test]
fn every_mistake_is_reported_at_once() {
    refused(
        &[
            ("seed = 7", "sede = 7"),
            ("path = \"site\"", "path = \"sites\""),
            ("prepare_image = {}", "prepare_image = { crp = 1 }"),
        ],
        &["unknown section `sede`", "sites` is not there", "unknown field `crp`"],
    );
}

#[test]
fn a_source_that_is_missing_is_named() {
    refused(
        &[("path = \"site\"", "path = \"nowhere\"")],
        &["job.toml:3", "nowhere` is not there", "relative to the job file"],
    );
}

#[test]
fn a_tokenizer_that_is_missing_is_named() {
    refused(&[("demo-bpe/tokenizer.json", "demo-bpe/missing.json")], &["job.toml:5", "missing.json", "tokenizer.json"]);
}

#[test]
fn a_checkpoint_that_is_missing_is_named() {
    refused(&[("models/demo-vq", "models/missing-vq")], &["job.toml:6", "missing-vq", "model.safetensors"]);
}

#[test]
fn an_order_of_steps_that_does_not_fit_is_named_with_the_column_that_is_missing() {
    refused(
        &[("[[documents]]\ndecode_charset = {}\n", "")],
        &["job.toml:8", "step 1 `minimal_html` reads column `html`", "put `decode_charset` before it"],
    );
}

#[test]
fn more_spans_than_sentinels_are_refused() {
    refused(
        &[("causal_masking = {}", "causal_masking = { max_spans = 300 }")],
        &["job.toml:20", "max_spans is 300", "num_sentinels"],
    );
}

#[test]
fn a_tokenizer_that_takes_a_name_of_the_vocabulary_is_refused() {
    let site = Site::new();
    let job = fs::read_to_string(site.job()).unwrap();
    let line = job.lines().find(|line| line.starts_with("text = ")).unwrap();
    let tokenizer: String = toml_text(line);
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(tokenizer).unwrap()).unwrap();
    let id = json["model"]["vocab"].as_object().unwrap().len();
    json["added_tokens"] = serde_json::json!([{
        "id": id, "content": "<sentinel:0>", "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false, "special": true
    }]);
    fs::write(site.path("taken.json"), json.to_string()).unwrap();
    fs::write(site.job(), job.replace(line, "text = \"taken.json\"")).unwrap();
    let said = pageloom(&["run", &text(&site.job()), "--out", &text(&site.path("out"))]);
    assert_eq!(said.code, 1, "{said:#?}");
    assert!(said.stderr.contains("job.toml:4") && said.stderr.contains("`<sentinel:0>`"), "{}", said.stderr);
    assert!(!site.path("out").exists());
}

fn toml_text(line: &str) -> String {
    line.split('"').nth(1).unwrap().to_owned()
}

#[test]
fn a_row_shorter_than_an_image_is_refused() {
    refused(&[("sequence_length = 512", "sequence_length = 200")], &["job.toml:21", "an image is 256 tokens"]);
}

#[test]
fn a_text_that_is_no_toml_is_named_with_its_line() {
    refused(&[("[sequences]", "[sequences")], &["job.toml:19"]);
}

#[test]
fn the_output_of_another_job_is_never_mixed_with_ours() {
    let site = Site::new().with("page.html", PARAGRAPH);
    let finished = site.run();
    let (job, out) = (text(&site.job()), text(&finished.out));
    let before = finished.data();
    let said = pageloom(&["run", &job, "--out", &out, "--set", "seed=8"]);
    assert_eq!(said.code, 1, "{said:#?}");
    assert!(said.stderr.contains("`seed` is 7 there and 8 here") && said.stderr.contains("--out"), "{}", said.stderr);
    assert_eq!(finished.data(), before);
}

#[test]
fn an_output_of_other_input_is_never_mixed_with_ours() {
    let site = Site::new().with("page.html", PARAGRAPH);
    site.run();
    let site = site.with("late.html", PARAGRAPH);
    let said = pageloom(&["run", &text(&site.job()), "--out", &text(&site.path("out"))]);
    assert_eq!(said.code, 1, "{said:#?}");
    assert!(said.stderr.contains("the input has changed"), "{}", said.stderr);
}

#[test]
fn a_folder_with_files_of_others_is_left_alone() {
    let site = Site::new().with("page.html", PARAGRAPH);
    fs::create_dir(site.path("out")).unwrap();
    fs::write(site.path("out/thesis.txt"), "years of work").unwrap();
    let said = pageloom(&["run", &text(&site.job()), "--out", &text(&site.path("out"))]);
    assert_eq!(said.code, 1, "{said:#?}");
    assert!(said.stderr.contains("new or an empty folder"), "{}", said.stderr);
    assert_eq!(fs::read_dir(site.path("out")).unwrap().count(), 1);
}

#[test]
fn another_name_or_more_memory_is_the_same_job() {
    let site = Site::new().with("page.html", PARAGRAPH);
    site.run();
    run(&site.job(), &site.path("out"), &["--set", "name=other", "--set", "units.memory=100000000"]);
}

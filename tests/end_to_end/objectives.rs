//! What a job file may say about layouts, objectives and views, as a user says it.

use pageloom::objectives::ObjectiveConfig;
use pageloom::packing::PackingConfig;

use super::site::{Finished, PARAGRAPH, Site, done, run, text};

/// A page with two images among texts, and a page that is one image with a text.
fn site() -> Site {
    let page = format!(
        "<title>Stones</title>{PARAGRAPH}<p>{PARAGRAPH}<img src=a.png alt=One></p>{PARAGRAPH}<p><img src=b.png></p>"
    );
    let pair = format!("<title>A pair</title>{PARAGRAPH}<p><img src=a.png alt=One></p>");
    Site::new().with("page.html", page).with("pair.html", pair).with("a.png", picture(40)).with("b.png", picture(90))
}

/// A picture of 64 x 48 pixels in one colour.
pub fn picture(shade: u8) -> Vec<u8> {
    let mut header = b"BM".to_vec();
    let (width, height) = (64_u32, 48_u32);
    let pixels = width * height * 3;
    for number in [54 + pixels, 0, 54, 40, width, height, 1 | 24 << 16, 0, pixels, 2835, 2835, 0, 0] {
        header.extend_from_slice(&number.to_le_bytes());
    }
    header.extend(std::iter::repeat_n(shade, pixels as usize));
    header
}

/// Runs the job with these settings, so many units at once.
pub fn with(site: &Site, name: &str, settings: &[&str], parallel: &str) -> Finished {
    let settings = settings.iter().flat_map(|setting| ["--set", setting]);
    let options: Vec<&str> = settings.chain(["--parallel", parallel]).collect();
    run(&site.job(), &site.path(name), &options)
}

/// A setting, as `--set` takes it.
pub fn setting(name: &str, value: &impl serde::Serialize) -> String {
    format!("{name}={}", toml::Value::try_from(value).unwrap())
}

/// All rows decoded, spans moved by no objective.
fn laid_out(site: &Site, layout: &str) -> String {
    let layout_setting = format!("sequences.interleave.layout=\"{layout}\"");
    let long = "sequences.packing={ concat_and_split = { sequence_length = 2048 } }";
    with(site, layout, &[&layout_setting, long, "sequences.objective={ left_to_right = {} }"], "2").shown()
}

#[test]
fn images_stand_as_each_layout_has_them() {
    let site = site();
    let count = |text: &str, part: &str| text.matches(part).count();
    let cm3 = laid_out(&site, "cm3");
    assert_eq!(count(&cm3, "src=\"[image 16x16]\""), 3, "{cm3}");
    let chameleon = laid_out(&site, "chameleon");
    assert_eq!(count(&chameleon, "<begin_of_image>[image 16x16]<end_of_image>"), 3, "{chameleon}");
    assert_eq!(count(&chameleon, "src="), 0, "{chameleon}");
    let cm3leon = laid_out(&site, "cm3leon");
    assert_eq!(count(&cm3leon, "<break>[image 16x16]<break>"), 2, "{cm3leon}");
    assert_eq!(count(&cm3leon, "<break>[image 16x16]<eod>"), 1, "{cm3leon}");
    let plain = laid_out(&site, "plain");
    assert_eq!((count(&plain, "[image 16x16]"), count(&plain, "<break>"), count(&plain, "src=")), (3, 0, 0), "{plain}");
}

#[test]
fn every_published_way_to_mask_spans_runs_and_balances() {
    let site = site();
    for variant in ["paper", "fairseq", "incoder", "metaseq", "cm3leon"] {
        let variant_setting = format!("sequences.objective={{ causal_masking = {{ variant = \"{variant}\" }} }}");
        let packing = match variant {
            "metaseq" | "cm3leon" => "sequences.packing={ one_document = { sequence_length = 512 } }",
            _ => "sequences.packing={ concat_and_split = { sequence_length = 512 } }",
        };
        let finished = with(&site, variant, &[&variant_setting, packing], "2");
        assert_eq!(finished.count("documents"), 2, "{variant}");
    }
}

#[test]
fn every_objective_runs_from_a_job_file_and_gives_its_documents_back() {
    let site = site();
    for (index, objective) in ObjectiveConfig::examples().iter().enumerate() {
        let setting = setting("sequences.objective", objective);
        let finished = with(&site, &index.to_string(), &[&setting], "2");
        assert_eq!(finished.count("documents"), 2, "{setting}");
        let deep = done(&["verify", &text(&finished.out), "--deep"]).stdout;
        let inverted = deep.lines().find(|line| line.contains("give their document's tokens back")).unwrap();
        assert!(!inverted.starts_with("0 "), "{setting}: {deep}");
    }
}

#[test]
fn what_loses_tokens_on_purpose_is_no_finding_in_a_mixture_either() {
    let site = site();
    let compat = "{ causal_masking = { variant = \"fairseq\", reference_compat = true } }";
    let parts = format!("[{{ weight = 1.0, objective = {compat} }}]");
    let finished = with(&site, "compat", &[&format!("sequences.objective={{ mixture = {{ parts = {parts} }} }}")], "2");
    let deep = done(&["verify", &text(&finished.out), "--deep"]).stdout;
    assert!(deep.contains("0 examples give their document's tokens back"), "{deep}");
}

#[test]
fn every_packing_runs_from_a_job_file_and_balances() {
    let site = site();
    for (index, packing) in PackingConfig::examples().iter().enumerate() {
        let setting = setting("sequences.packing", packing);
        let finished = with(&site, &format!("packing-{index}"), &[&setting], "2");
        assert_eq!(finished.count("documents"), 2, "{setting}");
        done(&["verify", &text(&finished.out), "--deep"]);
    }
}

#[test]
fn a_document_that_is_seen_twice_has_other_spans_each_time() {
    let site = site();
    let objective = "sequences.objective={ causal_masking = { min_spans = 4 } }";
    let once = with(&site, "once", &[objective], "2");
    let twice = with(&site, "twice", &[objective, "sequences.views=2"], "2");
    assert_eq!((once.count("documents"), twice.count("documents")), (2, 2));
    let spans = |finished: &Finished| {
        let shown = finished.shown();
        shown.lines().filter(|line| line.trim_start().starts_with("span ")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(spans(&twice).len() > spans(&once).len());
    assert!(done(&["status", &text(&twice.out)]).stdout.contains("finished"));
}

#[test]
fn no_view_at_all_is_refused_with_its_line() {
    let site = site();
    let said = super::site::pageloom(&["check", &text(&site.job()), "--set", "sequences.views=0"]);
    assert_eq!(said.code, 1, "{said:#?}");
    assert!(said.stderr.contains("--set sequences.views: views is 0, but 1 to 1024"), "{}", said.stderr);
}

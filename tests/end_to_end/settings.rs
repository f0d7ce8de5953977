//! The reference of settings: what it prints, and that jobs are as its schema says.

use std::fs;
use std::os::unix::fs::symlink;

use super::job_schema::problems_of;
use super::site::{done, pageloom, repository, run};

/// The lines of an answer that begin with a name.
fn names(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.split_whitespace().next()).collect()
}

fn told(name: &str) -> String {
    done(&["settings", name]).stdout
}

#[test]
fn jobs_of_the_repository_are_as_the_schema_says() {
    let jobs = fs::read_dir(repository().join("jobs")).unwrap().map(|file| file.unwrap().path());
    let jobs: Vec<_> = jobs.filter(|path| path.extension().is_some_and(|ending| ending == "toml")).collect();
    assert!(jobs.len() >= 4, "{jobs:?}");
    for job in jobs {
        assert_eq!(problems_of(&fs::read_to_string(&job).unwrap(), &[]), Vec::<String>::new(), "{}", job.display());
    }
}

#[test]
fn a_job_with_a_mistake_is_not_as_the_schema_says() {
    let demo = fs::read_to_string(repository().join("jobs/demo.toml")).unwrap();
    for set in [
        "sede=7",
        "seed=\"7\"",
        "documents.1.minimal_html.min_txt_chars=3",
        "documents.1={ encode_image = {} }",
        "sequences.objective={ fim = {}, ul2 = {} }",
        "sequences.objective=\"fim\"",
        "sequences.packing={ one_document = {} }",
        "sequences.packing.concat_and_split.sequence_length=0",
        "images.3.draw_masks.strategy.random.ratio={ linear = { views = 3 } }",
        "tokenizers.executor={ threads = 3 }",
        "sources=[]",
    ] {
        assert!(!problems_of(&demo, &[set]).is_empty(), "{set}");
    }
}

/// README's job makes shards as it stands, in a folder with the demo beside it.
#[test]
fn the_job_of_the_readme_runs_as_it_stands() {
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    let job = readme.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    for beside in ["jobs", "tokenizers"] {
        symlink(repository().join(beside).canonicalize().unwrap(), folder.path().join(beside)).unwrap();
    }
    fs::write(folder.path().join("job.toml"), job).unwrap();
    let finished = run(&folder.path().join("job.toml"), &folder.path().join("out"), &[]);
    assert!(finished.count("rows") > 0);
}

#[test]
fn sections_are_listed_with_a_line_each() {
    let said = done(&["settings"]).stdout;
    let names = names(&said);
    for section in ["name", "sources", "documents", "sequences", "image_shards", "storage"] {
        assert_eq!(names.iter().filter(|name| **name == section).count(), 1, "{said}");
    }
}

#[test]
fn what_may_stand_at_a_place_is_listed_with_its_first_sentence() {
    for (place, expected) in [
        ("documents", "filter_length"),
        ("images", "encode_image"),
        ("sources", "webdataset"),
        ("sequences.objective", "causal_masking"),
        ("sequences.packing", "best_fit"),
        ("images.0.draw_masks.strategy", "color_noise"),
    ] {
        assert!(names(&told(place)).contains(&expected), "{place}: {}", told(place));
    }
    assert!(!told("documents").contains("encode_image"));
}

#[test]
fn a_setting_is_told_with_its_type_its_default_and_its_doc_text() {
    let said = told("filter_length");
    for words in ["min_words (whole number from 0 to 4294967295, default 10)", "rejected as `too_few_words`"] {
        assert!(said.contains(words), "{said}");
    }
    let said = told("sequences.packing.concat_and_split");
    assert!(said.contains("sequence_length (whole number from 1 to 4294967295, must be given)"), "{said}");
}

#[test]
fn the_end_of_a_path_is_enough_where_one_place_has_it() {
    assert_eq!(told("causal_masking"), told("sequences.objective.causal_masking"));
    assert_eq!(told("causal_masking.max_spans"), told("sequences.objective.causal_masking.max_spans"));
}

#[test]
fn several_places_of_a_name_are_named_and_an_unknown_one_has_a_remedy() {
    for (name, words) in [
        ("ratio", ["stands in ", "color_noise.ratio"]),
        ("causal_maskin", ["no job has such a setting", "did you mean `causal_masking`?"]),
        ("sequences.packng", ["no job has such a setting", "did you mean `sequences.packing`?"]),
        ("qqqqqqqqqqqq", ["no job has such a setting", "`pageloom settings` lists"]),
    ] {
        let said = pageloom(&["settings", name]);
        assert_eq!(said.code, 1, "{said:#?}");
        assert!(words.iter().all(|word| said.stderr.contains(word)), "{said:#?}");
    }
}

#[test]
fn no_line_is_longer_than_a_hundred_characters() {
    for name in ["sources", "documents", "storage", "sequences", "causal_masking", "filter_c4", "draw_masks"] {
        for line in told(name).lines().filter(|line| line.trim().contains(' ')) {
            assert!(line.chars().count() <= 100, "{line}");
        }
    }
}

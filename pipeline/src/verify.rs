//! Adds everything up: rows in are rows out and rejects, files are what their commits say, the manifest is true.

use std::collections::BTreeMap;
use std::sync::Arc;

use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use sha2::{Digest, Sha256};

use crate::engine::commit::{Commit, add_up, commits_of};
use crate::engine::exchange::{Segment, rows_in_bucket};
use crate::engine::plan::{Stage, TrainingTable};
use crate::engine::stages::Before;
use crate::engine::stages::shards::RowsOf;
use crate::engine::store::Store;
use crate::engine::table_reader::open_table;
use crate::engine::table_writer::{TableFile, hex};
use crate::error::RunError;
use crate::finish::{MANIFEST, Manifest, ShardFile};
use crate::status::{before_shards, plan_of};

mod compared;
mod deep;

pub use deep::{Deep, verify_deep};

/// What a balanced run holds.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Balance {
    /// Records that the sources read.
    pub records: u64,
    /// Pages among them.
    pub pages: u64,
    /// Documents in the shards.
    pub documents: u64,
    /// Images with tokens.
    pub images: u64,
    /// Rows of the shards.
    pub rows: u64,
    /// Rejects of all stages, by `kind.reason`.
    pub rejects: BTreeMap<String, u64>,
    /// Records that are neither page nor image, by what they are.
    pub skipped: BTreeMap<String, u64>,
    /// References to images that were taken out of documents that stayed, by `image.reason`.
    pub dropped_references: BTreeMap<String, u64>,
}

/// Commits of a whole run.
struct Books {
    before: Before,
    image_shards: Vec<Commit>,
    shards: Vec<Commit>,
    tables: Vec<TrainingTable>,
}

/// Verifies a finished run; an error lists everything that does not add up.
pub async fn verify(store: &Store) -> Result<Balance, RunError> {
    let mut findings = Vec::new();
    let books = books(store, &mut findings).await?;
    check_documents(&books, &mut findings);
    check_files(store, &books, &mut findings).await;
    let manifest = store.read_json::<Manifest>(MANIFEST).await?;
    match &manifest {
        Some(manifest) => check_whole(&books, manifest, &mut findings),
        None => findings.push(format!("{MANIFEST} is not there: the run has not ended")),
    }
    match findings.is_empty() {
        true => Ok(balance(&books)),
        false => Err(unbalanced(findings, manifest.is_some())),
    }
}

/// What was found in a run, and what to do about it.
fn unbalanced(problems: Vec<String>, ended: bool) -> RunError {
    let hint = match ended {
        true => "`pageloom run JOB --out NEW --reuse OUT` takes over what is whole, and makes the rest again",
        false => "run the same command again: it goes on from here",
    };
    RunError::Unbalanced { problems, hint }
}

/// What holds of all stages together, once the last is done.
fn check_whole(books: &Books, manifest: &Manifest, findings: &mut Vec<String>) {
    check_images(books, findings);
    if books.tables.contains(&TrainingTable::Sequences) {
        check_retrieved(books, findings);
        check_sequences(books, findings);
    }
    if books.tables.contains(&TrainingTable::Images) {
        check_image_rows(books, findings);
    }
    check_manifest(books, manifest, findings);
}

async fn books(store: &Store, findings: &mut Vec<String>) -> Result<Books, RunError> {
    let plan = plan_of(store).await?;
    let books = Books {
        before: before_shards(store).await?,
        image_shards: commits_of(store, Stage::ImageShards).await?,
        shards: commits_of(store, Stage::Shards).await?,
        tables: plan.tables.clone(),
    };
    let planned = [
        (Stage::Neighbours, &books.before.neighbours),
        (Stage::Documents, &books.before.documents),
        (Stage::Images, &books.before.images),
        (Stage::ImageShards, &books.image_shards),
        (Stage::Retrieved, &books.before.retrieved),
        (Stage::Sequences, &books.before.sequences),
        (Stage::Shards, &books.shards),
    ];
    for (stage, commits) in planned {
        let units: Vec<String> = plan.units(stage, &books.before).into_iter().map(|unit| unit.id).collect();
        let there: Vec<String> = commits.iter().map(|commit| commit.unit.clone()).collect();
        if units.len() != there.len() {
            findings.push(format!("{}: {} of {} units are committed", stage.name(), there.len(), units.len()));
        } else if let Some((unit, found)) = units.iter().zip(&there).find(|(unit, found)| unit != found) {
            findings
                .push(format!("{}: unit {unit} is not committed, but {found}, which the plan has not", stage.name()));
        }
    }
    Ok(books)
}

fn equal(findings: &mut Vec<String>, place: &str, left: (&str, u64), right: (&str, u64)) {
    if left.1 != right.1 {
        findings.push(format!("{place}: {} are {}, but {} are {}", left.0, left.1, right.0, right.1));
    }
}

fn sum(commits: &[Commit], name: &str) -> u64 {
    commits.iter().map(|commit| commit.count(name)).sum()
}

fn rejected(commit: &Commit, kind: &str) -> u64 {
    let of_kind = commit.rejects.iter().filter(|(reason, _)| reason.split('.').next() == Some(kind));
    of_kind.map(|(_, count)| count).sum()
}

fn check_documents(books: &Books, findings: &mut Vec<String>) {
    for commit in &books.before.documents {
        let place = format!("documents unit {}", commit.index);
        let skipped: u64 = commit.skipped.values().sum();
        let seen = commit.count("pages") + commit.count("image_locations") + skipped + rejected(commit, "record");
        equal(
            findings,
            &place,
            ("records", commit.count("records")),
            ("pages, images, skipped and rejected ones", seen),
        );
        let kept = commit.count("documents") + rejected(commit, "document");
        equal(findings, &place, ("pages", commit.count("pages")), ("documents and rejects", kept));
        let rows = commit.file("documents").map_or(0, |file| file.rows);
        equal(findings, &place, ("documents", commit.count("documents")), ("rows of its file", rows));
        for table in ["image_locations", "image_references"] {
            let rows = commit.file(table).map_or(0, |file| file.rows);
            equal(findings, &place, (table, commit.count(table)), ("rows of its file", rows));
        }
    }
}

fn check_images(books: &Books, findings: &mut Vec<String>) {
    for commit in &books.before.images {
        let place = format!("images unit {}", commit.index);
        let settled = commit.count("images") + rejected(commit, "image");
        equal(
            findings,
            &place,
            ("images shown by documents", commit.count("wanted_images")),
            ("encoded and rejected ones", settled),
        );
    }
    if !books.tables.contains(&TrainingTable::Sequences) {
        return;
    }
    let references =
        books.before.documents.iter().filter_map(|commit| commit.file("image_references")).map(|file| file.rows).sum();
    let settled = sum(&books.before.images, "image_tokens") + sum(&books.before.images, "references_without_tokens");
    equal(findings, "images", ("references", references), ("references with and without tokens", settled));
}

fn check_sequences(books: &Books, findings: &mut Vec<String>) {
    let rejects: u64 = books.before.sequences.iter().map(|commit| rejected(commit, "document")).sum();
    let settled = sum(&books.before.sequences, "documents") + rejects;
    equal(
        findings,
        "sequences",
        ("documents", sum(&books.before.documents, "documents")),
        ("packed and rejected ones", settled),
    );
    for commit in &books.before.sequences {
        let place = format!("sequences unit {}", commit.index);
        let settled = ["neighbours_in_front", "neighbours_missing", "neighbours_of_no_document"];
        let settled = settled.map(|name| commit.count(name)).iter().sum();
        let chosen = commit.count("neighbours_chosen");
        equal(findings, &place, ("neighbours", chosen), ("those in front, missing, and of no document", settled));
        equal(
            findings,
            &place,
            ("tokens of joined documents", commit.count("joined_tokens")),
            ("those of blocks and dropped ones", commit.count("block_tokens") + commit.count("dropped_joined_tokens")),
        );
        equal(
            findings,
            &place,
            ("blocks", commit.count("blocks")),
            ("packed and rejected ones", commit.count("packed_blocks") + rejected(commit, "block")),
        );
        equal(
            findings,
            &place,
            ("examples", commit.count("examples")),
            ("examples begun in rows", commit.count("examples_begun")),
        );
        equal(
            findings,
            &place,
            ("tokens of rows and dropped ones", commit.count("row_tokens") + commit.count("dropped_tokens")),
            ("tokens of examples and padding", commit.count("example_tokens") + commit.count("padding_tokens")),
        );
    }
    equal(
        findings,
        "shards",
        ("rows", sum(&books.shards, "rows")),
        ("rows of sequences", sum(&books.before.sequences, "rows")),
    );
}

/// Every image is a row.
fn check_image_rows(books: &Books, findings: &mut Vec<String>) {
    let (images, rows) = (sum(&books.before.images, "images"), sum(&books.before.images, "rows"));
    equal(findings, "images", ("images with tokens", images), ("rows of images", rows));
    equal(findings, "image_shards", ("rows", sum(&books.image_shards, "rows")), ("rows of images", rows));
}

/// Each neighbour that the table's rows come to is known where it stands in front, and where it has to be handed on from.
fn check_retrieved(books: &Books, findings: &mut Vec<String>) {
    let Before { neighbours, retrieved, sequences, .. } = &books.before;
    let (chosen, known) = (sum(neighbours, "neighbours_chosen"), sum(sequences, "neighbours_chosen"));
    equal(findings, "neighbours", ("neighbours of the table", chosen), ("those that sequences know of", known));
    for commit in retrieved {
        let place = format!("retrieved unit {}", commit.index);
        let wanted = rows_in_bucket(neighbours, "wanted", commit.index);
        let settled = commit.count("handed_on") + commit.count("not_there");
        equal(findings, &place, ("documents wanted", wanted), ("those handed on and those not there", settled));
        let rows = commit.file("retrieved").map_or(0, |file| file.rows);
        equal(findings, &place, ("documents handed on", commit.count("handed_on")), ("rows of its file", rows));
    }
}

/// Every committed file is there, with the size and rows of its commit; a shard's bytes have the checksum as well.
async fn check_files(store: &Store, books: &Books, findings: &mut Vec<String>) {
    let Before { neighbours, documents, images, retrieved, sequences } = &books.before;
    for commit in [neighbours, documents, images, retrieved, sequences].into_iter().flatten() {
        for file in commit.files.values() {
            if let Err(finding) = check_file(store, file).await {
                findings.push(finding);
            }
        }
    }
    let shards = books.image_shards.iter().chain(&books.shards);
    for file in shards.flat_map(|commit| commit.files.values()) {
        let checked = match check_file(store, file).await {
            Ok(()) => check_sum(store, file).await,
            broken => broken,
        };
        findings.extend(checked.err());
    }
}

async fn check_file(store: &Store, file: &TableFile) -> Result<(), String> {
    let broken = |error: &dyn std::fmt::Display| format!("{}: {error}", file.path);
    let path = Path::from(file.path.as_str());
    let meta = store.objects().head(&path).await.map_err(|error| broken(&error))?;
    if meta.size != file.bytes {
        return Err(format!("{}: {} bytes, but its commit says {}", file.path, meta.size, file.bytes));
    }
    if let Some(segments) = &file.segments {
        return check_segments(file, segments);
    }
    let footer = open_table(store, &file.path).await.map_err(|error| error.to_string())?;
    let rows = footer.metadata().file_metadata().num_rows() as u64;
    if rows != file.rows {
        return Err(format!("{}: {rows} rows, but its commit says {}", file.path, file.rows));
    }
    Ok(())
}

/// The buckets of an exchange's file lie one behind another, and hold its rows.
fn check_segments(file: &TableFile, segments: &[Segment]) -> Result<(), String> {
    let rows: u64 = segments.iter().map(|segment| segment.rows).sum();
    let follow = segments.windows(2).all(|two| two[0].offset + two[0].bytes == two[1].offset);
    let end = segments.last().map_or(0, |last| last.offset + last.bytes);
    if rows == file.rows && follow && end <= file.bytes {
        Ok(())
    } else {
        Err(format!("{}: its buckets are not what its commit says of the whole", file.path))
    }
}

/// An error says that a file's bytes have another checksum than its commit says.
pub(crate) async fn check_sum(store: &Store, file: &TableFile) -> Result<(), String> {
    use futures::TryStreamExt;
    let objects: Arc<dyn ObjectStore> = store.objects();
    let broken = |error: object_store::Error| format!("{}: {error}", file.path);
    let mut bytes = objects.get(&Path::from(file.path.as_str())).await.map_err(broken)?.into_stream();
    let mut digest = Sha256::new();
    while let Some(piece) = bytes.try_next().await.map_err(broken)? {
        digest.update(&piece);
    }
    let found = hex(&digest.finalize());
    if found == file.sha256 {
        Ok(())
    } else {
        Err(format!("{}: sha256 is {found}, but its commit says {}", file.path, file.sha256))
    }
}

fn check_manifest(books: &Books, manifest: &Manifest, findings: &mut Vec<String>) {
    let rows_of = RowsOf::of(Stage::Shards, &books.before, manifest.rows_per_shard);
    check_listed(&books.shards, &manifest.files, (&rows_of, manifest.rows_per_shard), findings);
    if let Some(table) = &manifest.image_table {
        let rows_of = RowsOf::of(Stage::ImageShards, &books.before, table.rows_per_shard);
        check_listed(&books.image_shards, &table.files, (&rows_of, table.rows_per_shard), findings);
    }
    if manifest.image_table.is_some() != books.tables.contains(&TrainingTable::Images) {
        findings.push(format!("{MANIFEST} lists other tables than the plan does"));
    }
    equal(findings, MANIFEST, ("rows", manifest.rows), ("rows of sequences", sum(&books.before.sequences, "rows")));
}

/// The manifest lists the shards that are committed, each for its phase of training, and they are of equal length.
fn check_listed(
    commits: &[Commit],
    files: &[ShardFile],
    (rows_of, rows_per_shard): (&RowsOf<'_>, u64),
    findings: &mut Vec<String>,
) {
    let committed = commits.iter().filter_map(|commit| Some((commit.index, commit.file("shard")?)));
    let committed = committed
        .map(|(index, file)| (file.path.as_str(), file.rows, file.sha256.as_str(), rows_of.phase_of_shard(index)));
    let listed = files.iter().map(|file| (file.path.as_str(), file.rows, file.sha256.as_str(), file.phase));
    if !committed.eq(listed) {
        findings.push(format!("{MANIFEST} lists other shards than the commits do"));
    }
    let short = files.windows(2).find(|two| two[0].phase == two[1].phase && two[0].rows != rows_per_shard);
    if let Some([ShardFile { path, rows, .. }, _]) = short {
        findings.push(format!("{path}: {rows} rows, but every shard before the last has {rows_per_shard}"));
    }
}

fn balance(books: &Books) -> Balance {
    let commits = || [&books.before.documents, &books.before.images, &books.before.sequences].into_iter().flatten();
    Balance {
        records: sum(&books.before.documents, "records"),
        pages: sum(&books.before.documents, "pages"),
        documents: sum(&books.before.sequences, "documents"),
        images: sum(&books.before.images, "images"),
        rows: sum(&books.shards, "rows"),
        rejects: add_up(commits().map(|commit| &commit.rejects)),
        skipped: add_up(books.before.documents.iter().map(|commit| &commit.skipped)),
        dropped_references: add_up(commits().map(|commit| &commit.dropped)),
    }
}

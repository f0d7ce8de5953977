//! Runs the binary, and looks at what it left: what every other test here stands on.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::rc::Rc;

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;
use tempfile::TempDir;

use super::job_schema::problems_of;

/// Text that minimal HTML keeps: longer than its thresholds.
pub const PARAGRAPH: &str = "<p>The lamp is lit at dusk and put out at dawn, and between the two somebody has to stay awake \
    and listen to the sea, to the wind in the shutters and to the clockwork that turns the lens, night after night.</p>";

/// The job of the small site in `jobs/demo`.
pub fn demo_job() -> PathBuf {
    repository().join("jobs/demo.toml")
}

/// Where the workspace lies.
pub fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The command, not started yet.
pub fn command<S: AsRef<std::ffi::OsStr>>(arguments: &[S]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pageloom"));
    command.args(arguments);
    command
}

/// What a command said, and its exit code.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Runs the binary to its end.
pub fn pageloom<S: AsRef<std::ffi::OsStr>>(arguments: &[S]) -> Said {
    command(arguments).output().unwrap().into()
}

/// Runs the binary and expects it to be content.
pub fn done<S: AsRef<std::ffi::OsStr>>(arguments: &[S]) -> Said {
    let said = pageloom(arguments);
    assert_eq!(said.code, 0, "{said:#?}");
    said
}

/// A folder with a site, a job file and room for outputs; removed at the end of its test.
pub struct Site {
    folder: Rc<TempDir>,
}

impl Site {
    /// A job over an empty folder `site`.
    pub fn new() -> Self {
        let site = Self { folder: Rc::new(tempfile::tempdir().unwrap()) };
        fs::create_dir(site.path("site")).unwrap();
        site.job_with_source("html_files = { path = \"site\" }");
        site
    }

    /// A job over one WARC file, `crawl.warc`.
    pub fn of_warc(bytes: &[u8]) -> Self {
        let site = Self::new();
        fs::write(site.path("crawl.warc"), bytes).unwrap();
        site.job_with_source("warc = { path = \"crawl.warc\" }");
        site
    }

    /// Writes the job file anew, over another source.
    pub fn job_with_source(&self, source: &str) {
        let models = repository().join("tokenizers/models");
        let job = format!(
            "seed = 7\n[[sources]]\n{source}\n[tokenizers]\ntext = {:?}\nimage = {:?}\n\
             [[documents]]\ndecode_charset = {{}}\n[[documents]]\nminimal_html = {{}}\n[[documents]]\ntokenize_text = {{}}\n\
             [[images]]\nfetch_image = {{}}\n[[images]]\nprepare_image = {{}}\n[[images]]\nencode_image = {{}}\n\
             [sequences]\nobjective = {{ causal_masking = {{}} }}\n\
             packing = {{ concat_and_split = {{ sequence_length = 512 }} }}\n",
            models.join("demo-bpe/tokenizer.json"),
            models.join("demo-vq"),
        );
        fs::write(self.job(), job).unwrap();
    }

    /// The job file.
    pub fn job(&self) -> PathBuf {
        self.path("job.toml")
    }

    /// A path beside the job file.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Adds a file to the site.
    pub fn with(self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        fs::write(self.path("site").join(name), bytes).unwrap();
        self
    }

    /// Runs the job into `out`, and verifies it.
    pub fn run(&self) -> Finished {
        Finished { _site: Some(self.folder.clone()), ..run(&self.job(), &self.path("out"), &[]) }
    }
}

/// A run that ended well and is balanced.
pub struct Finished {
    pub out: PathBuf,
    /// Kept as long as its output is looked at.
    _site: Option<Rc<TempDir>>,
}

/// Runs a job and verifies what it wrote. A job that runs is as the schema of jobs says.
pub fn run(job: &Path, out: &Path, options: &[&str]) -> Finished {
    let sets: Vec<&str> = options.windows(2).filter(|pair| pair[0] == "--set").map(|pair| pair[1]).collect();
    assert_eq!(problems_of(&fs::read_to_string(job).unwrap(), &sets), Vec::<String>::new());
    let mut arguments = vec!["run".to_owned(), text(job), "--out".to_owned(), text(out)];
    arguments.extend(options.iter().map(|option| (*option).to_owned()));
    done(&arguments);
    done(&["verify", &text(out)]);
    Finished::at(out)
}

/// A PNG whose every row has these bytes: small as a file, however many pixels it has. `kind` is the bits of a number and
/// the type of colour.
pub fn png(width: u32, height: u32, kind: [u8; 2], row: &[u8]) -> Vec<u8> {
    let mut pixels = ZlibEncoder::new(Vec::new(), Compression::fast());
    for _ in 0..height {
        // No filter.
        pixels.write_all(&[0]).unwrap();
        pixels.write_all(row).unwrap();
    }
    let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
    header.extend(kind);
    header.extend([0, 0, 0]);
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in [(b"IHDR", header), (b"IDAT", pixels.finish().unwrap()), (b"IEND", Vec::new())] {
        let mut checksum = Crc::new();
        checksum.update(kind);
        checksum.update(&data);
        png.extend((data.len() as u32).to_be_bytes());
        png.extend(kind);
        png.extend(&data);
        png.extend(checksum.sum().to_be_bytes());
    }
    png
}

/// A path as an argument.
pub fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

impl Finished {
    /// A run whose output lies in this folder.
    pub fn at(out: &Path) -> Self {
        Self { out: out.to_owned(), _site: None }
    }

    /// The manifest.
    pub fn manifest(&self) -> Value {
        serde_json::from_slice(&fs::read(self.out.join("manifest.json")).unwrap()).unwrap()
    }

    /// A number of the manifest.
    pub fn count(&self, name: &str) -> u64 {
        self.manifest()[name].as_u64().unwrap()
    }

    /// Every file that trainers read, with a digest of its bytes.
    pub fn data(&self) -> BTreeMap<String, String> {
        let folders = ["data", "images"].map(|folder| self.out.join(folder));
        let files = folders.iter().filter(|folder| folder.is_dir()).flat_map(|folder| fs::read_dir(folder).unwrap());
        let digest = |path: &Path| blake3::hash(&fs::read(path).unwrap()).to_hex().to_string();
        let named = files.map(|file| file.unwrap().path());
        named.map(|path| (text(path.strip_prefix(&self.out).unwrap()), digest(&path))).collect()
    }

    /// Rows of the rejects tables, as `url: kind.reason`, sorted.
    pub fn rejects(&self) -> Vec<String> {
        let mut rejects: Vec<String> = self
            .rows("rejects")
            .iter()
            .map(|row| format!("{}: {}.{}", row["url"], row["kind"], row["reason"]))
            .collect();
        rejects.sort();
        rejects
    }

    /// Rows of one table of all commits, each with its columns of text.
    pub fn rows(&self, table: &str) -> Vec<BTreeMap<String, String>> {
        let mut rows = Vec::new();
        for commit in commits(&self.out) {
            if let Some(path) = commit["files"][table]["path"].as_str() {
                rows.extend(text_rows(&self.out.join(path)));
            }
        }
        rows
    }

    /// All rows, decoded for a person.
    pub fn shown(&self) -> String {
        let rows = self.count("rows");
        let shown = (0..rows).map(|row| done(&["show", &text(&self.out), "--row", &row.to_string()]).stdout);
        shown.collect()
    }
}

fn commits(out: &Path) -> Vec<Value> {
    let stages = ["neighbours", "documents", "images", "image_shards", "retrieved", "sequences", "shards"];
    let folders = stages.iter().filter_map(|stage| fs::read_dir(out.join("commits").join(stage)).ok());
    folders.flatten().map(|file| serde_json::from_slice(&fs::read(file.unwrap().path()).unwrap()).unwrap()).collect()
}

/// The rows of a Parquet file, each with its columns as text.
pub fn text_rows(file: &Path) -> Vec<BTreeMap<String, String>> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(file).unwrap()).unwrap().build().unwrap();
    let mut rows = Vec::new();
    for batch in reader.map(Result::unwrap) {
        let schema = batch.schema();
        for row in 0..batch.num_rows() {
            let cell = |(field, column): (&std::sync::Arc<arrow::datatypes::Field>, &arrow::array::ArrayRef)| {
                (field.name().clone(), arrow::util::display::array_value_to_string(column, row).unwrap())
            };
            rows.push(schema.fields().iter().zip(batch.columns()).map(cell).collect());
        }
    }
    rows
}

//! Pages are not to be trusted: they reach neither files beside their sources, nor the network, nor anybody's secrets.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::site::{PARAGRAPH, Said, Site, command, pageloom, repository, text};

fn picture() -> Vec<u8> {
    fs::read(repository().join("jobs/demo/site/img/pebbles.jpg")).unwrap()
}

fn page(sources: &[&str]) -> String {
    let tags: String = sources.iter().map(|source| format!("<p><img src=\"{source}\"></p>")).collect();
    format!("<body>{PARAGRAPH}{tags}{PARAGRAPH}</body>")
}

#[test]
fn a_page_reaches_no_file_outside_of_its_source() {
    let site = Site::new();
    fs::write(site.path("private.jpg"), picture()).unwrap();
    let absolute = text(&site.path("private.jpg"));
    let ways = [
        format!("file://{absolute}"),
        absolute.clone(),
        "../private.jpg".to_owned(),
        "../../../../..".to_owned() + &absolute,
        "%2e%2e/private.jpg".to_owned(),
        "..\\private.jpg".to_owned(),
        format!("file://localhost{absolute}"),
        "x/../../private.jpg".to_owned(),
    ];
    let ways: Vec<&str> = ways.iter().map(String::as_str).collect();
    let finished = site.with("page.html", page(&ways)).run();
    assert_eq!((finished.count("documents"), finished.count("images")), (1, 0));
    assert!(
        finished.rejects().iter().all(|reject| reject.ends_with("image.image_not_found")),
        "{:?}",
        finished.rejects()
    );
}

#[test]
fn a_link_out_of_a_source_is_refused_before_anything_is_read() {
    let site = Site::new().with("page.html", page(&["private.jpg"]));
    fs::write(site.path("private.jpg"), picture()).unwrap();
    symlink("../private.jpg", site.path("site/private.jpg")).unwrap();
    let said = pageloom(&["run", &text(&site.job()), "--out", &text(&site.path("out"))]);
    assert_eq!(said.code, 2, "{said:#?}");
    assert!(said.stderr.contains("private.jpg") && said.stderr.contains("leads out of `site`"), "{}", said.stderr);
    assert!(!site.path("out").exists());
}

/// A tar whose member has this name, however it leads.
fn tar_with(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    let mut tar = tar::Builder::new(Vec::new());
    tar.append(&header, bytes).unwrap();
    tar.into_inner().unwrap()
}

#[test]
fn a_member_of_a_tar_whose_name_leads_out_is_read_as_data_and_written_nowhere() {
    for (source, name) in [("html_files", "../../escaped.html"), ("webdataset", "../../escaped.html")] {
        let site = Site::new();
        fs::write(site.path("pages.tar"), tar_with(name, page(&[]).as_bytes())).unwrap();
        site.job_with_source(&format!("{source} = {{ path = \"pages.tar\" }}"));
        site.run();
        let escaped = [site.path("escaped.html"), site.path("../escaped.html"), site.path("../../escaped.html")];
        assert!(!escaped.iter().any(|path| path.exists()), "{source}");
    }
}

#[test]
fn nothing_is_fetched_from_a_network() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let (http, bare) = (format!("http://{address}/a.jpg"), format!("//{address}/b.jpg"));
    let body = page(&[&http, &bare]) + &format!("<link rel=stylesheet href=\"http://{address}/c.css\">");
    let finished = Site::new().with("page.html", body).run();
    assert_eq!((finished.count("documents"), finished.count("images")), (1, 0));
    let called = listener.accept();
    assert!(called.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
}

#[test]
fn a_data_url_is_an_image_within_limits_or_a_reject() {
    let site =
        Site::new().with("page.html", page(&["data:text/html,<script>1</script>", "data:image/png;base64,####"]));
    let finished = site.run();
    assert_eq!((finished.count("documents"), finished.count("images")), (1, 0));
    assert_eq!(finished.rejects().len(), 2, "{:?}", finished.rejects());
}

/// A file of the folder that has this word in it.
pub fn holds(folder: &Path, word: &str) -> Option<String> {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let bytes = if entry.is_dir() { Vec::new() } else { fs::read(&entry).unwrap() };
        if bytes.windows(word.len()).any(|window| window == word.as_bytes()) {
            return Some(text(&entry));
        }
        if let Some(found) = entry.is_dir().then(|| holds(&entry, word)).flatten() {
            return Some(found);
        }
    }
    None
}

#[test]
fn secrets_of_the_environment_are_neither_told_nor_written_down() {
    const SECRET: &str = "hunter2-in-the-environment";
    let site = Site::new().with("page.html", page(&[]));
    let (job, out) = (text(&site.job()), text(&site.path("out")));
    let looks = [
        vec!["run", &job, "--out", &out],
        vec!["plan", &job, "--json"],
        vec!["plan", &job, "--diff", &out],
        vec!["status", &out],
        vec!["verify", &out, "--deep"],
        vec!["run", &job, "--out", "s3://KEY:hunter2-in-the-environment@bucket/x?token=hunter2-in-the-environment"],
        vec!["check", &job, "--set", "sources.0.html_files.path=s3://KEY:hunter2-in-the-environment@bucket/x"],
        vec!["run", &job, "--out", "s3://b/x", "--set", "storage.endpoint=http://a:hunter2-in-the-environment@h"],
        vec!["check", &job, "--set", "storage.endpont=http://a:hunter2-in-the-environment@h"],
        vec!["check", &job, "--set", "storage={ endpoint = \"http://a:hunter2-in-the-environment@h\", bogus = 1 }"],
        vec!["check", &job, "--set", "storage={ endpoint = \"http://a:hunter2-in-the-environment@h\""],
    ];
    for look in looks {
        let secrets = ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID", "HF_TOKEN"];
        let said = Said::from(command(&look).envs(secrets.map(|name| (name, SECRET))).output().unwrap());
        assert!(!said.stdout.contains(SECRET) && !said.stderr.contains(SECRET), "{said:#?}");
    }
    assert_eq!(holds(&site.path("out"), SECRET), None);
    assert!(site.path("out/manifest.json").exists());
}

#[test]
fn secrets_of_azure_and_google_are_neither_told_nor_written_down() {
    const SECRET: &str = "hunter2-in-the-environment";
    const KEY: &str = "aHVudGVyMi1pbi10aGUtZW52aXJvbm1lbnQ=";
    let account = format!("{{\"private_key\":\"{SECRET}\",\"private_key_id\":\"1\",\"client_email\":\"a@b\"}}");
    let credentials: [(&str, Vec<(&str, &str)>); 6] = [
        ("az", vec![("AZURE_STORAGE_ACCOUNT_KEY", KEY)]),
        ("az", vec![("AZURE_STORAGE_ACCOUNT_KEY", SECRET)]),
        ("az", vec![("AZURE_STORAGE_SAS_TOKEN", "sv=2021-12-02&sp=rwdlac&sig=hunter2-in-the-environment")]),
        (
            "az",
            vec![
                ("AZURE_CLIENT_ID", "client"),
                ("AZURE_CLIENT_SECRET", SECRET),
                ("AZURE_TENANT_ID", "tenant"),
                ("AZURE_AUTHORITY_HOST", "http://127.0.0.1:1"),
            ],
        ),
        ("gs", vec![("GOOGLE_SERVICE_ACCOUNT_KEY", &account)]),
        ("gs", vec![("GOOGLE_SERVICE_ACCOUNT_KEY", "\"hunter2-in-the-environment\"")]),
    ];
    for (scheme, credentials) in credentials {
        let site = Site::new().with("page.html", page(&[]));
        let (job, out, far) = (text(&site.job()), text(&site.path("out")), format!("{scheme}://bucket/x"));
        let source = format!("sources.0.html_files.path={far}");
        // Nobody listens there.
        let unreachable = ["endpoint=http://127.0.0.1:1", "attempts=1"];
        let set = unreachable.map(|setting| format!("storage.{setting}"));
        let looks = [
            (0, vec!["run", &job, "--out", &out]),
            (0, vec!["plan", &job, "--json"]),
            (2, vec!["run", &job, "--out", &far, "--set", &set[0], "--set", &set[1]]),
            (1, vec!["check", &job, "--set", &source, "--set", &set[0], "--set", &set[1]]),
            (2, vec!["status", &far, "--storage", unreachable[0], "--storage", unreachable[1]]),
        ];
        for (code, look) in looks {
            let mut look = command(&look);
            look.env("AZURE_STORAGE_ACCOUNT_NAME", "account").envs(credentials.iter().copied());
            let said = Said::from(look.output().unwrap());
            // A credential that can't be read is the job's to mend, before anything is asked for.
            assert!(said.code == code || (code == 2 && said.code == 1), "{said:#?}");
            let told = [SECRET, KEY].map(|secret| said.stdout.contains(secret) || said.stderr.contains(secret));
            assert_eq!(told, [false; 2], "{said:#?}");
        }
        assert_eq!([SECRET, KEY].map(|secret| holds(&site.path("out"), secret)), [None, None]);
    }
}

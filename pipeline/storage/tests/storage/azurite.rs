//! Azurite, Microsoft's own emulator of Azure Blob Storage, where `AZURITE` names the folder that it is installed in.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use tempfile::TempDir;

pub const ACCOUNT: &str = "pageloomtest";
/// As Azure writes it: in base64.
pub const KEY: &str = "dGVzdC1zZWNyZXQtdGhhdC1ub2JvZHktbWF5LXNlZQ==";
pub const CONTAINER: &str = "bucket";

/// One server with one container.
pub struct Azurite {
    pub endpoint: String,
    /// A token for all that may be done in the container.
    pub sas: String,
    /// Where it keeps its blobs.
    pub state: TempDir,
    process: Child,
}

impl Azurite {
    /// Starts with the files of a folder in its container. None where it is not installed.
    pub fn start(folder: Option<&Path>) -> Option<Self> {
        let Some(home) = std::env::var_os("AZURITE") else {
            println!("left out: AZURITE names no folder that Azurite is installed in, as tests/run has it");
            return None;
        };
        let state = tempfile::tempdir().unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|above| above.join("tests/azure/serve.mjs"));
        let mut command = Command::new("node");
        command.arg(script.into_iter().find(|script| script.exists()).unwrap());
        command.arg(home).arg(state.path()).arg(CONTAINER).args(folder).envs(Self::KEYS);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut line = || lines.next().expect("Azurite starts").unwrap();
        Some(Self { endpoint: line(), sas: line(), state, process })
    }

    /// The environment of who knows the account's key.
    pub const KEYS: [(&str, &str); 2] = [("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT), ("AZURE_STORAGE_ACCOUNT_KEY", KEY)];

    /// The environment of who knows the token alone.
    pub fn token(&self) -> [(&str, &str); 2] {
        [("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT), ("AZURE_STORAGE_SAS_TOKEN", &self.sas)]
    }

    /// The address of a way to the server on which conditions of creations get lost; signatures over them do not fit.
    pub fn endpoint_that_overwrites(&self) -> String {
        let server =
            self.endpoint.trim_start_matches("http://").trim_end_matches(ACCOUNT).trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for client in listener.incoming().map(Result::unwrap) {
                let server = TcpStream::connect(&server).unwrap();
                let (back, to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                thread::spawn(move || forward(client, server, without_condition));
                thread::spawn(move || forward(back, to_client, |_| {}));
            }
        });
        format!("http://{address}/{ACCOUNT}")
    }
}

impl Drop for Azurite {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, change: fn(&mut [u8])) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        change(&mut bytes[..count]);
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

fn without_condition(bytes: &mut [u8]) {
    let (condition, lost) = (b"if-none-match", b"x-lost-header");
    if let Some(at) = bytes.windows(condition.len()).position(|window| window == condition) {
        bytes[at..at + lost.len()].copy_from_slice(lost);
    }
}

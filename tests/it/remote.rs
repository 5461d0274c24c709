//! Rasters inside archives and on servers, read by their GDAL names, against
//! the same files on disk.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::data;
use crate::skipped::skipped;

/// A web server of Python's for the files in a folder.
pub struct Server(Child, pub u16);

impl Server {
    /// Starts one, or says why not.
    pub fn start(folder: &Path) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Command::new("python3")
            .args(["-m", "http.server", &port.to_string(), "--bind", "127.0.0.1"])
            .current_dir(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(server) = server else {
            skipped("python3 is not installed");
            return None;
        };
        let server = Self(server, port);
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begin.elapsed() < Duration::from_secs(60), "the server does not start");
            std::thread::yield_now();
        }
        Some(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What `inspect` says of `source`, with S3 at this port.
fn inspect(source: &str, port: u16) -> Value {
    let output = crate::cli::program()
        .args(["inspect", "--json", source])
        .env_remove("http_proxy")
        .env("no_proxy", "127.0.0.1")
        .env("AWS_S3_ENDPOINT", format!("127.0.0.1:{port}"))
        .envs([("AWS_HTTPS", "NO"), ("AWS_VIRTUAL_HOSTING", "FALSE")])
        .env("AWS_NO_SIGN_REQUEST", "YES")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn files_on_servers_are_those_on_disk() {
    let Some(data) = data() else { return };
    let folder = tempfile::tempdir().unwrap();
    let bucket = folder.path().join("bucket");
    fs::create_dir(&bucket).unwrap();
    let name = "u16_13b_cog.tif";
    let local = data.join("formats/generated-tiff-matrix").join(name);
    fs::copy(&local, bucket.join(name)).unwrap();
    let Some(server) = Server::start(folder.path()) else { return };
    let expected = inspect(&local.to_string_lossy(), server.1);
    assert_eq!(expected["bands"].as_array().unwrap().len(), 13);
    for source in [
        format!("/vsicurl/http://127.0.0.1:{}/bucket/{name}", server.1),
        format!("/vsis3/bucket/{name}"),
    ] {
        let found = inspect(&source, server.1);
        for key in ["bands", "rows", "columns", "georeference", "profile"] {
            assert_eq!(found[key], expected[key], "{source} {key}");
        }
    }
}

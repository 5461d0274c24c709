//! Fetching data sets, from a server of our own.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use sha2::{Digest, Sha256};

use crate::cli::{names_in, program, refused, text};
use crate::skipped::skipped;
use crate::speaker::{Process, wait_for};

/// Serves the files in `folder`. Of those whose names begin with `cut` the first
/// that is asked for is cut off halfway; those that begin with `held` wait there
/// until they are `released`. What was asked for is noted as name and first byte.
struct Server {
    address: String,
    asked: Arc<Mutex<Vec<(String, usize)>>>,
    released: Arc<AtomicBool>,
}

impl Server {
    fn start(folder: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/files/", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(vec![]));
        let released = Arc::new(AtomicBool::new(false));
        let (notes, go_on) = (asked.clone(), released.clone());
        // Ends with the process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                serve(stream.unwrap(), &folder, &notes, &go_on);
            }
        });
        Self { address, asked, released }
    }

    fn take(&self) -> Vec<(String, usize)> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

fn serve(
    mut stream: TcpStream,
    folder: &Path,
    notes: &Mutex<Vec<(String, usize)>>,
    released: &AtomicBool,
) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
    let first = lines.next().unwrap();
    let name = first.split(' ').nth(1).unwrap().strip_prefix("/files/").unwrap();
    let name = name.replace("%20", " ");
    let mut from = 0;
    for line in lines.take_while(|line| !line.is_empty()) {
        if let Some(range) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
            from = range.trim_end_matches('-').parse().unwrap();
        }
    }
    let cut = !notes.lock().unwrap().iter().any(|(asked, _)| *asked == name);
    notes.lock().unwrap().push((name.clone(), from));
    let Ok(bytes) = fs::read(folder.join(&name)) else {
        return write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").unwrap();
    };
    let (rest, total) = (&bytes[from..], bytes.len());
    let status = match from {
        0 => "200 OK".to_owned(),
        _ => format!("206 Partial Content\r\nContent-Range: bytes {from}-{}/{total}", total - 1),
    };
    let length = rest.len();
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")
        .unwrap();
    let held = name.starts_with("held");
    let sent = if held || (cut && name.starts_with("cut")) { length / 2 } else { length };
    stream.write_all(&rest[..sent]).unwrap();
    if held {
        wait_for("the second half to be asked for", || released.load(Ordering::Relaxed));
        stream.write_all(&rest[sent..]).unwrap();
    }
}

/// The command that fetches `set` to `out`.
fn fetching(set: &Path, out: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wysiwyh"));
    command.args(["datasets", "fetch"]).arg(set).arg("-o").arg(out);
    command.env_remove("http_proxy").env_remove("HTTP_PROXY").env("no_proxy", "127.0.0.1");
    command.env("HOME", "/nonexistent");
    command
}

fn fetch(set: &Path, out: &Path, more: &[&str]) -> Output {
    fetching(set, out).args(more).output().unwrap()
}

/// Makes a set in `folder`: the files of these names, of so many bytes each, in
/// `served`, and what is told of them in `set`.
fn serve_set(folder: &Path, names: &[&str], bytes: usize) -> Server {
    let path = |name: &str| folder.join(name);
    fs::create_dir(path("served")).unwrap();
    fs::create_dir(path("set")).unwrap();
    let mut sums = String::new();
    for (number, name) in names.iter().enumerate() {
        let bytes: Vec<u8> = (0..bytes).map(|at| (at * (number + 3) % 251) as u8).collect();
        fs::write(path("served").join(name), &bytes).unwrap();
        let sum: String = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
        sums += &format!("{sum}  {name}\n");
    }
    let server = Server::start(path("served"));
    let (address, files, bytes) = (&server.address, names.len(), names.len() * bytes);
    let manifest = format!(
        "name = \"set\"\ntitle = \"A set\"\nlicence = \"CC0-1.0\"\nurls = [\"{address}\"]\n\
         sensor = \"rgb\"\nchecksums = \"SUMS\"\nfiles = {files}\nbytes = {bytes}\ngroup = \"file\"\n"
    );
    fs::write(path("set/manifest.toml"), manifest).unwrap();
    fs::write(path("set/SUMS"), sums).unwrap();
    server
}

#[test]
fn a_set_is_fetched_on_from_where_it_was_cut_off_and_checked() {
    if Command::new("curl").arg("--version").output().is_err() {
        return skipped("there is no curl");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let files = ["a b.bin", "cut.bin", "last.bin"];
    let server = serve_set(folder.path(), &files, 100_000);
    refused(&fetch(&path("set"), &path("out"), &[]), 1, "/files/cut.bin");
    assert_eq!(names_in(&path("out")), ["a b.bin", "cut.bin.part"]);
    assert_eq!(server.take().len(), 2);
    // Asked for once before, so that it is not cut off again.
    server.asked.lock().unwrap().push(("cut.bin".into(), 0));
    let output = fetch(&path("set"), &path("out"), &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(
        text(&output.stdout).contains("3 files are in") && text(&output.stdout).contains("CC0")
    );
    assert_eq!(server.take()[1..], [("cut.bin".into(), 50_000), ("last.bin".into(), 0)]);
    assert_eq!(names_in(&path("out")), files);
    for name in files {
        assert_eq!(
            fs::read(path("out").join(name)).unwrap(),
            fs::read(path("served").join(name)).unwrap()
        );
    }
    // All is there: nothing is asked for.
    assert!(fetch(&path("set"), &path("out"), &[]).status.success());
    assert_eq!(server.take(), []);

    // What is not the listed file never gets its name, and is not replaced.
    fs::write(path("served/last.bin"), "another").unwrap();
    fs::remove_file(path("out/last.bin")).unwrap();
    refused(&fetch(&path("set"), &path("out"), &[]), 1, "its SHA-256 is");
    assert_eq!(names_in(&path("out")), files[..2]);
    fs::write(path("out/last.bin"), "mine").unwrap();
    refused(&fetch(&path("set"), &path("out"), &[]), 1, "not the listed file");
    assert_eq!(fs::read_to_string(path("out/last.bin")).unwrap(), "mine");
    fs::remove_file(path("served/last.bin")).unwrap();
    fs::remove_file(path("out/last.bin")).unwrap();
    refused(&fetch(&path("set"), &path("out"), &[]), 1, "404");
}

#[test]
fn how_much_of_a_file_has_come_is_told_meanwhile() {
    if Command::new("curl").arg("--version").output().is_err() {
        return skipped("there is no curl");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let server = serve_set(folder.path(), &["first.bin", "held.bin"], 3_000_000);
    let mut fetch = fetching(&path("set"), &path("out"));
    fetch.arg("--plain").stderr(fs::File::create(path("said")).unwrap());
    let mut fetch = Process(fetch.spawn().unwrap());
    let said = || fs::read_to_string(path("said")).unwrap();
    wait_for("the half of the second file", || said().contains("fetching, in MB: 4 of 6, 66 %"));
    server.released.store(true, Ordering::Relaxed);
    assert!(fetch.0.wait().unwrap().success(), "{}", said());
    assert_eq!(names_in(&path("out")), ["first.bin", "held.bin"]);
}

#[test]
fn the_shelf_is_listed_and_says_where_nothing_can_be_fetched() {
    let folder = tempfile::tempdir().unwrap();
    let output = program().args(["datasets", "list"]).output().unwrap();
    let listed = text(&output.stdout);
    assert!(listed.contains("hituav") && listed.contains("CC-BY-4.0"), "{listed}");
    let output = program().args(["datasets", "list", "--json"]).output().unwrap();
    let sets: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let files = |name: &str| {
        let set = sets.as_array().unwrap().iter().find(|set| set["name"] == name);
        set.unwrap()["files"].as_u64()
    };
    assert_eq!((files("hituav"), files("kaist")), (Some(720), Some(0)));
    let out = folder.path().join("out");
    let output = fetch("terramesh".as_ref(), &out, &[]);
    refused(&output, 2, "terramesh");
    assert!(text(&output.stderr).contains("https://github.com/IBM/terramind"));
    // Those of which no files are listed, whatever the address.
    for (name, way) in
        [("flir-adas", "form"), ("kaist", "https://github.com/SoonminHwang/rgbt-ped-detection")]
    {
        for more in [&[][..], &["--from", "http://127.0.0.1:9/"]] {
            let output = fetch(name.as_ref(), &out, more);
            refused(&output, 2, "nothing to fetch");
            assert!(text(&output.stderr).contains(way), "{}", text(&output.stderr));
        }
        assert!(listed.contains(name), "{listed}");
    }
    refused(&fetch("of-dreams".as_ref(), &out, &[]), 2, "of-dreams");
    refused(&fetch("terramesh".as_ref(), &out, &["--from", "file:///etc"]), 1, "file:///etc");
    assert!(names_in(&out).is_empty());
}

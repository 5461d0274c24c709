//! Every verb with `--plain` at a terminal, as a screen reader hears it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::cli::{picture, text, verbs};
use crate::skipped::skipped;
use crate::speaker::program;

/// Lines are no longer, so that a listener need not wait for their end.
const LONGEST: usize = 300;

/// What every verb is asked, one after the other in one folder: what it reads
/// from standard input, its arguments, and the exit status.
const CALLS: &[(&str, &str, i32)] = &[
    ("", "sensors list", 0),
    ("", "sensors show simulated-lwir", 0),
    ("", "sensors probe", 0),
    ("", "inspect a.png --sensor hituav-lwir", 0),
    ("", "inspect simulated --frames 5", 0),
    ("", "inspect missing.png", 1),
    ("", "plan '*.png' -o plan.jsonl --sensor hituav-lwir", 0),
    ("", "convert --dry-run a.png b.png -o sounds --sensor hituav-lwir", 0),
    ("", "convert a.png broken.png b.png -o sounds --sensor hituav-lwir", 3),
    ("", "convert --manifest plan.jsonl -o planned", 3),
    ("", "collect planned --manifest plan.jsonl -o catalogue.parquet", 3),
    ("", "listen sounds/a.wav -o pictures", 0),
    ("", "train simulated:{1..10} --sensor simulated-lwir --values 16 -o mine.safetensors", 0),
    (
        "",
        "train simulated:{1..10} --sensor simulated-lwir --values 8 --steps 2 -o b.safetensors",
        0,
    ),
    ("", "evaluate mine.safetensors simulated:1 simulated:{101..102} --compare", 0),
    (
        "where\nstatus\nless\nmark\nmute\nhelp\nsing\n",
        "live simulated:1 --no-speaker --frames 9 -o sound.wav",
        0,
    ),
    ("1\na\n7\ns\n2\n3\n", "practice simulated:1 --no-speaker --trials 3", 0),
    ("s\nd\nd\n", "practice simulated:1 --no-speaker --trials 3 --task same", 0),
    ("y\n", "hearing --no-speaker -o hearing.toml", 1),
    ("", "datasets list", 0),
    ("", "datasets fetch kaist -o kaist", 2),
    ("", "demo --no-speaker -o demo", 0),
    ("", "inspect demo/session.rrd", 0),
    ("", "view demo/sound.wav", 1),
    ("", "view demo/session.rrd", 0),
    ("", "completions bash", 0),
    ("", "completions ksh", 2),
    ("", "help", 0),
    ("", "conjure", 2),
];

/// What `arguments` say with `--plain` at a terminal, where `input` is piped in,
/// and the exit status; `None`, and a line, where there is no terminal to have.
fn told(folder: &Path, input: &str, arguments: &str) -> Option<(String, Option<i32>)> {
    fs::write(folder.join("input"), input).unwrap();
    let line = format!("'{}' --plain {arguments} < input", program().display());
    let output = Command::new("script")
        .args(["-qefc", &line, "/dev/null"])
        .current_dir(folder)
        .env("SHELL", "/bin/bash")
        .env("TERM", "xterm-256color")
        .env("RERUN_VIEWER", "./viewer")
        .envs(["XDG_CONFIG_HOME", "XDG_DATA_HOME", "HOME"].map(|name| (name, "/nonexistent")))
        .env_remove("WYSIWYH_PLAIN")
        .stdin(Stdio::null())
        .output();
    let Ok(output) = output else {
        skipped("util-linux's script is not installed");
        return None;
    };
    // A terminal gets both at the end of a line.
    Some((text(&output.stdout).replace("\r\n", "\n"), output.status.code()))
}

/// Asserts that nothing in `said` has to be seen: no escape sequence, nothing
/// redrawn, no symbol that is neither a letter nor on every keyboard.
fn is_text(call: &str, said: &str) {
    for line in said.lines() {
        let odd = line.chars().find(|c| !(c.is_ascii_graphic() || *c == ' ' || c.is_alphabetic()));
        assert_eq!(odd, None, "{call}: {line}");
    }
}

/// Asserts that `said` can be heard line by line: no columns, no line without
/// an end, sentences that end.
fn is_read_aloud(call: &str, said: &str) {
    for line in said.lines() {
        let length = line.chars().count();
        assert!(length <= LONGEST, "{call}: {length} characters: {line}");
        let columns = line.trim_start_matches('#').trim().contains("  ");
        assert!(!columns, "{call}: columns: {line}");
        let sentence = line.starts_with(char::is_uppercase) && line.split(' ').count() > 3;
        let ends = line.ends_with(['.', '?', ':']) || line.contains(": ");
        assert!(!sentence || ends, "{call}: no end: {line}");
    }
}

#[test]
fn every_verb_speaks_in_plain_lines() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    picture(&place("a.png"));
    picture(&place("b.png"));
    fs::write(place("broken.png"), "no picture").unwrap();
    // In place of the viewer, which is a window.
    fs::write(place("viewer"), "#!/bin/sh\necho rerun-cli 0.36.3\n").unwrap();
    let made = Command::new("chmod").arg("+x").arg(place("viewer")).status();
    assert!(made.unwrap().success());

    for verb in verbs() {
        let asked = CALLS.iter().any(|(_, call, _)| call.split(' ').next() == Some(&verb));
        assert!(asked, "{verb} is not among the calls of this test");
        let Some((said, _)) = told(folder.path(), "", &format!("{verb} --help")) else { return };
        assert!(said.contains("Usage: wysiwyh"), "{verb}: {said}");
        is_text(&verb, &said);
    }
    for (input, call, expected) in CALLS {
        let (said, code) = told(folder.path(), input, call).unwrap();
        assert_eq!(code, Some(*expected), "{call}: {said}");
        assert!(!said.is_empty() || call.starts_with("view"), "{call} says nothing");
        is_text(call, &said);
        // Scripts and help are written for others.
        if !["completions bash", "help", "conjure"].contains(call) {
            is_read_aloud(call, &said);
        }
    }
}

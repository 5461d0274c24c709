//! Completion of the command line, by the shell itself.

use std::fs;
use std::process::Command;

use crate::cli::{program, refused, text};
use crate::skipped::skipped;

/// Asks bash, which has read our script, as it does at the Tab key.
const ASK: &str = r#"source "$1"
COMP_WORDS=("${@:2}") COMP_CWORD=$(($# - 2))
_wysiwyh wysiwyh "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\n' "${COMPREPLY[@]}""#;

fn script(shell: &str) -> String {
    let output = program().args(["completions", shell]).output().unwrap();
    assert!(output.status.success(), "{shell}: {}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn bash_completes_verbs_options_and_values() {
    if Command::new("bash").arg("--version").output().is_err() {
        return skipped("there is no bash");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wysiwyh.bash");
    fs::write(&path, script("bash")).unwrap();
    let complete = |words: &[&str]| -> Vec<String> {
        let mut bash = Command::new("bash");
        bash.args(["--norc", "-c", ASK, "bash"]).arg(&path).arg("wysiwyh").args(words);
        let output = bash.output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(complete(&["con"]), ["convert"]);
    // Not `probe`, which is for the program itself.
    assert_eq!(complete(&["pr"]), ["practice"]);
    assert_eq!(complete(&["--pl"]), ["--plain"]);
    assert_eq!(complete(&["convert", "--ro"]), ["--rotate", "--route"]);
    assert_eq!(complete(&["live", "--polarity", ""]), ["hot-loud", "cold-loud"]);
    let datasets = complete(&["datasets", ""]);
    assert!(datasets.contains(&"fetch".to_owned()), "{datasets:?}");
}

#[test]
fn every_shell_gets_a_script_and_no_other_does() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = script(shell);
        assert!(script.contains("convert") && script.contains("practice"), "{shell}");
    }
    refused(&program().args(["completions", "ksh"]).output().unwrap(), 2, "ksh");
}

//! What the licences of the dependencies ask of who passes the program on.

use std::process::Command;

use serde_json::Value;

use crate::skipped::skipped;

/// Whether a licence expression (SPDX, or a slash for OR as old manifests have
/// it) can be met without a licence that `refused` names.
fn can_do_without(expression: &str, refused: &dyn Fn(&str) -> bool) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let (met, rest) = any_of(&words, refused);
    assert!(rest.is_empty(), "{expression:?} is no licence expression");
    met
}

fn any_of<'a>(words: &'a [&'a str], refused: &dyn Fn(&str) -> bool) -> (bool, &'a [&'a str]) {
    let (mut met, mut rest) = all_of(words, refused);
    while let ["OR", after @ ..] = rest {
        let (other, after) = all_of(after, refused);
        (met, rest) = (met || other, after);
    }
    (met, rest)
}

fn all_of<'a>(words: &'a [&'a str], refused: &dyn Fn(&str) -> bool) -> (bool, &'a [&'a str]) {
    let (mut met, mut rest) = one(words, refused);
    while let ["AND", after @ ..] = rest {
        let (other, after) = one(after, refused);
        (met, rest) = (met && other, after);
    }
    (met, rest)
}

fn one<'a>(words: &'a [&'a str], refused: &dyn Fn(&str) -> bool) -> (bool, &'a [&'a str]) {
    match words {
        ["(", inside @ ..] => match any_of(inside, refused) {
            (met, [")", rest @ ..]) => (met, rest),
            _ => panic!("a bracket is not closed in {words:?}"),
        },
        [name, "WITH", _, rest @ ..] | [name, rest @ ..] => (!refused(name), rest),
        [] => panic!("a licence is missing"),
    }
}

/// GPL and AGPL, not LGPL.
fn asks_for_all_sources(name: &str) -> bool {
    name.starts_with("GPL") || name.starts_with("AGPL")
}

#[test]
fn expressions_are_read_as_spdx_means_them() {
    let free = |expression| can_do_without(expression, &asks_for_all_sources);
    for expression in [
        "MIT",
        "MIT/Apache-2.0",
        "GPL-3.0-only OR MIT",
        "LGPL-2.1-or-later",
        "(MIT OR GPL-2.0) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception",
    ] {
        assert!(free(expression), "{expression}");
    }
    for expression in [
        "GPL-3.0-or-later",
        "AGPL-3.0",
        "MIT AND GPL-2.0",
        "MIT AND (GPL-2.0 OR AGPL-3.0)",
        "GPL-2.0 WITH Classpath-exception-2.0",
    ] {
        assert!(!free(expression), "{expression}");
    }
}

/// The licences that `deny.toml` allows.
fn allowed() -> Vec<String> {
    let text = include_str!("../../deny.toml");
    let deny: toml::Value = toml::from_str(text).unwrap();
    let names = deny["licenses"]["allow"].as_array().unwrap();
    names.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

#[test]
fn no_dependency_requires_the_gpl_or_what_deny_toml_does_not_allow() {
    let allowed = allowed();
    assert!(!allowed.iter().any(|name| asks_for_all_sources(name)), "{allowed:?}");
    let refused = |name: &str| !allowed.iter().any(|other| other == name);
    let version = Command::new(env!("CARGO")).arg("-vV").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--locked", "--format-version", "1", "--all-features"])
        .args(["--filter-platform", host])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() && said.contains("--offline") {
        return skipped(format_args!("not all dependencies are on this machine: {}", said.trim()));
    }
    assert!(output.status.success(), "{said}");
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 100, "{} packages", packages.len());
    for package in packages {
        let name = &package["name"];
        match package["license"].as_str() {
            Some(licence) => {
                assert!(can_do_without(licence, &asks_for_all_sources), "{name}: {licence}");
                assert!(can_do_without(licence, &refused), "{name}: {licence} is not allowed");
            }
            // It states none but brings the text, which is that of Apache-2.0.
            None => assert_eq!(name, "cfg_block"),
        }
    }
}

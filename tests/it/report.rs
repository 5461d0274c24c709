//! The page and the tables of `evaluate`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use wysiwyh::model::Model;
use wysiwyh::table::Table;

use crate::cli::{names_in, program, refused, text};
use crate::trip::{array, listen};

fn evaluate(sources: &[&str], more: &[&str], folder: &Path) -> serde_json::Value {
    let mut command = program();
    command.args(["evaluate", "simulated-lwir", "--json"]).args(sources).args(more);
    let output = command.current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The bytes behind base64, as RFC 4648 has it.
fn decoded(coded: &str) -> Vec<u8> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        other => panic!("{other} in base64"),
    };
    let bits = coded.trim_end_matches('=').bytes().map(digit);
    let (mut bytes, mut word, mut held) = (vec![], 0u32, 0);
    for six in bits {
        (word, held) = (word << 6 | u32::from(six), held + 6);
        if held >= 8 {
            held -= 8;
            bytes.push((word >> held) as u8);
        }
    }
    bytes
}

/// What stands between `before` and the next `"` at each place of `before`.
fn quoted<'a>(page: &'a str, before: &str) -> Vec<&'a str> {
    page.split(before).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

/// Every element is closed, and what cannot be seen or heard is told.
fn check_page(page: &str) {
    for element in ["html", "main", "section", "table", "tr", "th", "td", "figure", "svg", "div"] {
        let opened = page.matches(&format!("<{element}>")).count()
            + page.matches(&format!("<{element} ")).count();
        assert_eq!(opened, page.matches(&format!("</{element}>")).count(), "{element}");
    }
    assert!(!page.contains("http") && !page.contains("<script") && !page.contains("@import"));
    assert!(quoted(page, "src=\"").iter().all(|source| source.starts_with("data:")));
    for (element, sentence) in
        [("<svg ", "aria-label=\""), ("<img ", "alt=\""), ("<audio ", "aria-label=\"")]
    {
        for tag in page.split(element).skip(1) {
            let tag = tag.split('>').next().unwrap();
            assert!(quoted(tag, sentence).first().is_some_and(|told| told.len() > 10), "{tag:.80}");
        }
    }
    for odd in [">NaN", "\"NaN", ",NaN", ">inf", "\"inf", ",inf"] {
        assert!(!page.contains(odd), "{odd}");
    }
}

#[test]
fn a_page_shows_what_was_measured_and_its_sounds_decode() {
    let folder = tempfile::tempdir().unwrap();
    let model = Model::shipped("simulated-lwir").unwrap();
    let trained = &model.record().trained_groups[..2];
    let sources = ["simulated:201", "simulated:202", &trained[0], &trained[1]];
    let files = ["--report", "page.html", "--table", "table.csv"];
    let scores = evaluate(&sources, &files, folder.path());
    assert_eq!(scores["frames"], 80);

    let mut reader = csv::Reader::from_path(folder.path().join("table.csv")).unwrap();
    let rows: Vec<BTreeMap<String, String>> = reader.deserialize().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 80);
    let mean: f64 =
        rows.iter().map(|row| row["psnr_db"].parse::<f64>().unwrap()).sum::<f64>() / 80.0;
    let values = model.values().to_string();
    let told = scores["psnr_sound_db"][&values].as_f64().unwrap();
    assert!((mean - told).abs() < 1e-9, "{mean} dB in the table, {told} dB told");
    assert!(rows[..40].iter().all(|row| row["group"] == "simulated:201"));
    let whence = |row: usize| (rows[row]["source"].as_str(), rows[row]["frame"].as_str());
    // Of the 600 frames that are looked at, each fifteenth.
    assert_eq!(whence(0), ("simulated:201", "0"));
    assert_eq!(whence(41), ("simulated:202", "15"));
    let code: Vec<u8> = serde_json::from_str(&rows[7]["code"]).unwrap();
    assert_eq!(code.len(), model.values());

    let page = fs::read_to_string(folder.path().join("page.html")).unwrap();
    check_page(&page);
    assert!(page.contains(&format!("<tr><th scope=\"row\">{values}</th><td>{told:.2}</td>")));
    for heading in ["PCA", "KLT x DCT"] {
        assert!(page.contains(&format!("<th scope=\"col\">{heading}</th>")), "{heading}");
    }
    for (channel, left) in scores["channels"].as_object().unwrap() {
        let psnr = left["psnr_db"].as_f64().unwrap();
        let bits = left["bits"].as_f64().unwrap();
        let cells = format!("</th><td>{psnr:.2}</td><td>{bits:.0}</td>");
        assert!(page.contains(&cells), "{channel}: {cells}");
    }
    let pictures = quoted(&page, "data:image/png;base64,");
    assert_eq!(pictures.len(), 12);
    for picture in pictures {
        let picture = image::load_from_memory(&decoded(picture)).unwrap();
        assert_eq!((picture.width(), picture.height()), (192, 144));
    }
    let sounds = quoted(&page, "data:audio/wav;base64,");
    assert_eq!(sounds.len(), 6);
    let sound = folder.path().join("still.wav");
    fs::write(&sound, decoded(sounds[3])).unwrap();
    listen(&sound, &folder.path().join("still"));
    let back = array(&folder.path().join("still/frames.npy"));
    assert_eq!(back.shape()[0], 10);
    let alt = quoted(&page, "alt=\"The picture as sent: LWIR ")[3];
    let (sent, _) = alt.split_once(" degC").unwrap();
    let (sent, heard): (f32, f32) = (sent.parse().unwrap(), back.mean().unwrap());
    assert!((sent - heard).abs() < 0.5, "{sent} degC on average were sent, {heard} heard");
}

#[test]
fn without_training_pictures_the_record_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let files = ["--report", "page.html", "--table", "table.parquet", "--values", "64"];
    evaluate(&["simulated:203"], &files, folder.path());
    let page = fs::read_to_string(folder.path().join("page.html")).unwrap();
    check_page(&page);
    let model = Model::shipped("simulated-lwir").unwrap();
    assert!(page.contains("this model, when it was trained"));
    for peer in model.record().peers.values() {
        for psnr in peer.psnr_db.values() {
            assert!(page.contains(&format!("<td>{psnr:.2}</td>")), "{psnr:.2}");
        }
    }
    let table = Table::open(&folder.path().join("table.parquet")).unwrap();
    assert_eq!((table.rows(), table.about("model_hash")), (40, Some(model.hash())));
    assert!(table.about("command").unwrap().contains("--values 64"));

    let mut odd = program();
    odd.args(["evaluate", "simulated-lwir", "simulated:203", "--table", "table.xlsx"]);
    refused(&odd.output().unwrap(), 2, "table.xlsx");
    assert_eq!(names_in(folder.path()), ["page.html", "table.parquet"]);
}

#[test]
fn places_that_cannot_be_written_are_told_before_anything_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    for files in [["a.csv", "none/page.html"], ["none/a.csv", "page.html"]] {
        let mut command = program();
        // Pictures that are missing would be told first.
        command.args(["evaluate", "simulated-lwir", "missing.png", "--table", files[0]]);
        let output = command.args(["--report", files[1]]).current_dir(folder.path()).output();
        refused(&output.unwrap(), 1, "none/");
        assert_eq!(names_in(folder.path()), [""; 0]);
    }
}

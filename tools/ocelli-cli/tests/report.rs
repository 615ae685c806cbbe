//! The page of `ocelli report`: what it says, that it needs nothing beside itself, and how a browser shows it.

mod command_line;

use std::path::{Path, PathBuf};
use std::process::Command;

use command_line::{printed, refused};

/// Makes a page in the folder of test artifacts, and reads it.
fn page(name: &str, arguments: &[&str]) -> (PathBuf, String) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report");
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join(format!("{name}.html"));
    printed(&[&["report"], arguments, &["-o", &path.display().to_string()]].concat());
    let text = std::fs::read_to_string(&path).expect("the page");
    (path, text)
}

const FLOAT: &str = "models/digits/mobilenet_v2_digits.onnx";
const CALIBRATION: &str = "models/digits/pictures/calibration";
const HELD_OUT: &str = "models/digits/pictures/held-out";
const INT8: &str = "tests/golden/tflite_ops/inverted_residual.tflite";

fn float_page(name: &str) -> (PathBuf, String) {
    let data =
        ["--calibrate", CALIBRATION, "--samples", "20", "--data", HELD_OUT, "--preprocess", "symmetric"];
    page(name, &[&[FLOAT, "--labels", "models/digits/labels.txt"][..], &data].concat())
}

/// Everything that a page may load lies in it.
fn assert_needs_nothing(text: &str) {
    assert!(!text.contains("<script") && !text.contains("@import") && !text.contains("url("));
    for attribute in ["src=\"", "href=\""] {
        for (at, _) in text.match_indices(attribute) {
            let target = &text[at + attribute.len()..][..5];
            assert!(target.starts_with('#') || target == "data:", "{target}");
        }
    }
    assert!(!text.contains("NaN") && !text.contains("inf "), "a figure that is no number");
}

#[test]
fn a_float_network_is_compared_with_its_int8_one() {
    let (_, text) = float_page("float");
    assert_needs_nothing(&text);
    for part in [
        "Confusion matrix",
        "Error by layer",
        "What would help",
        "binds the peak",
        "1 368 832",
        "float 99.72 %",
        "Tensors",
    ] {
        assert!(text.contains(part), "{part} is not in the page");
    }
    assert_eq!(text.matches("class=\"tensor\"").count(), 28, "the input and 27 layers");
    assert!(text.contains("taken for 5: 1 of 37"), "the one mistake of this model");
}

#[test]
fn an_int8_network_is_shown_as_it_is() {
    let (_, text) = page("int8", &[INT8]);
    assert_needs_nothing(&text);
    assert!(
        text.contains("taken as it is") && text.contains("Not measured") && !text.contains("Error by layer")
    );
}

#[test]
fn bad_calls_are_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("page.html").display().to_string();
    let says = |arguments: &[&str], word: &str| {
        let message = refused(&[&["report"], arguments, &["-o", &path]].concat());
        assert!(message.contains(word), "`{word}` is not in: {message}");
    };
    says(&[FLOAT], "--calibrate");
    says(&[FLOAT, "--calibrate", CALIBRATION, "--data", "absent"], "absent");
    says(&[INT8, "--calibrate", CALIBRATION], "--calibrate");
    says(&["tests/golden/bad/two_unsupported.onnx"], "2 problems");
    assert!(!Path::new(&path).exists());
}

#[test]
fn a_browser_shows_it_without_a_complaint() {
    let Some(browser) = browser() else {
        eprintln!("skipped: no Chromium (`apt-get install chromium`, or give its path in CHROMIUM)");
        return;
    };
    let (path, _) = float_page("shown");
    let profile = tempfile::tempdir().expect("a folder");
    let show = |page: &Path, picture: &Path, size: &str, more: &[&str]| {
        let output = Command::new(&browser)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                "--enable-logging=stderr",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(format!("--window-size={size}"))
            .arg(format!("--screenshot={}", picture.display()))
            .args(more)
            .arg(format!("file://{}", page.display()))
            .output()
            .expect("it starts");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let dark = ["--blink-settings=preferredColorScheme=0"];
    for (name, size, more) in
        [("light", "1200,5600", &[][..]), ("dark", "1200,5600", &dark[..]), ("phone", "500,7000", &[][..])]
    {
        let picture = path.with_file_name(format!("{name}.png"));
        let log = show(&path, &picture, size, more);
        assert!(!log.contains("CONSOLE"), "{log}");
        let shown = image::open(&picture).unwrap_or_else(|error| panic!("{error}: {log}")).to_rgb8();
        let mut colors: Vec<_> = shown.pixels().map(|pixel| pixel.0).collect();
        colors.sort_unstable();
        colors.dedup();
        assert!(colors.len() > 100, "{name}: only {} colors", colors.len());
        let bright = u32::from(shown.get_pixel(2, shown.height() / 2).0[0]) > 128;
        assert_eq!(bright, name != "dark", "{name}");
    }
    let broken = profile.path().join("broken.html");
    std::fs::write(&broken, "<script>console.error('seen')</script>").expect("it is written");
    let log = show(&broken, &profile.path().join("broken.png"), "200,200", &[]);
    assert!(log.contains("CONSOLE"), "complaints would not be seen: {log}");
}

/// A Chromium, if there is one.
fn browser() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("CHROMIUM") {
        return Some(path.into());
    }
    let names = ["chromium", "chromium-browser", "google-chrome", "chrome-headless-shell"];
    let folders: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
    names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|path| path.is_file())
}

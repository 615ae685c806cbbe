//! The command as users call it: exit codes, messages, and files that are written whole or not at all.

mod command_line;

use std::path::Path;
use std::process::Command;

use command_line::{ocelli, printed, refused, root};

fn assert_names(message: &str, words: &[&str]) {
    for word in words {
        assert!(message.contains(word), "`{word}` is not in: {message}");
    }
}

const NETWORK: &str = "models/digits/mobilenet_v2_digits.onnx";
const CALIBRATION: &str = "models/digits/pictures/calibration";
const PICTURE: &str = "models/digits/pictures/held-out/7";

/// Quantizes the digits network from a few pictures.
fn quantized(folder: &Path) -> String {
    let file = folder.join("digits.ocelli").display().to_string();
    let data = ["--calibrate", CALIBRATION, "--preprocess", "symmetric", "--samples", "20"];
    let labels = ["--labels", "models/digits/labels.txt"];
    printed(&[&["quantize", NETWORK, "-o", &file][..], &data, &labels].concat());
    file
}

#[test]
fn from_float_network_to_classes() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = quantized(folder.path());
    assert_names(&printed(&["inspect", &model]), &["packed", "q32", "32x32x1", "Conv2d", "labels 0, 1, 2"]);

    let line = printed(&["run", &model, PICTURE, "--json", "--top", "1"]);
    let lines: Vec<serde_json::Value> =
        line.lines().map(|line| serde_json::from_str(line).expect("a JSON object a line")).collect();
    let (summary, answers) = lines.split_last().expect("lines");
    assert_eq!(summary["inferences"], answers.len());
    let sevens = answers.iter().filter(|answer| answer["classes"][0]["label"] == "7").count();
    assert!(sevens * 10 >= answers.len() * 9, "{sevens} of {}", answers.len());

    let lines = printed(&["profile", &model, "--on", "host", "--json"]);
    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("a JSON object a line")).collect();
    let (total, layers) = lines.split_last().expect("lines");
    let sum: u64 = layers.iter().filter_map(|layer| layer["macs"].as_u64()).sum();
    assert!(sum > 0 && total["macs"] == sum, "{total}");
    let largest = layers.iter().filter_map(|layer| layer["buffer_bytes"].as_u64()).max();
    assert!(largest > Some(0) && largest <= total["arena_bytes"].as_u64(), "{total}");

    let held_out = "models/digits/pictures/held-out";
    let line = printed(&[
        "eval",
        &model,
        "--float",
        NETWORK,
        "--data",
        held_out,
        "--preprocess",
        "symmetric",
        "--json",
    ]);
    let line: serde_json::Value = serde_json::from_str(&line).expect("one JSON object");
    assert_eq!(line["samples"], 360);
    assert!(
        line["float_top1_percent"].as_f64() > Some(99.0) && line["int8_top1_percent"].as_f64() > Some(98.5),
        "{line}"
    );
}

#[test]
fn a_limit_that_cannot_be_met_names_the_nearest_and_what_helps() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("digits.ocelli");
    let path = file.display().to_string();
    let quantize = |limit: &str| -> Vec<String> {
        let data = ["--calibrate", CALIBRATION, "--preprocess", "symmetric", "--samples", "10"];
        let limit = ["--target", "cortex-m4", "--arena-limit", limit, "-o", &path];
        ["quantize", NETWORK].iter().chain(&data).chain(&limit).map(|&of| of.to_owned()).collect()
    };
    let call = quantize("1k");
    let message = refused(&call.iter().map(String::as_str).collect::<Vec<_>>());
    assert_names(
        &message,
        &[
            "1 024 bytes",
            "the nearest is",
            "most of it holds:",
            "from `",
            "an input of about",
            "fewer channels in these layers",
        ],
    );
    assert!(message.lines().all(|line| line.chars().count() < 240), "{message}");
    assert!(!file.exists(), "nothing is written");
    let nearest =
        message.split("--arena-limit ").nth(1).and_then(|rest| rest.split('`').next()).expect("it is named");
    let call = quantize(nearest);
    let text = printed(&call.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(file.exists() && text.contains("arena "), "{text}");
}

#[test]
fn quantizing_twice_gives_the_same_bytes() {
    let (first, second) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let [first, second] =
        [quantized(first.path()), quantized(second.path())].map(|file| std::fs::read(file).expect("it"));
    assert!(first == second);
}

#[test]
fn an_int8_network_is_packed_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("model.ocelli").display().to_string();
    let network = "tests/golden/tflite_ops/inverted_residual.tflite";
    printed(&["quantize", network, "-o", &file]);
    assert_names(&printed(&["inspect", &file]), &["tflite", "DepthwiseConv2d", "Add"]);
    assert_names(
        &refused(&["quantize", network, "--calibrate", CALIBRATION, "-o", &file]),
        &["int8", "--calibrate"],
    );
}

#[test]
fn inspect_says_which_kernels_a_packed_model_has_and_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("model.ocelli").display().to_string();
    let packed = |network: &str, target: &str| {
        let network = format!("tests/golden/tflite_ops/{network}.tflite");
        printed(&["quantize", &network, "--target", target, "-o", &file]);
        printed(&["inspect", &file])
    };
    assert_names(&packed("inverted_residual", "cortex-m4"), &["packed for dsp", "MACs"]);
    for (network, reason) in [
        ("conv_groups2", "portable: groups of channels"),
        ("depthwise_multiplier2", "portable: several output channels an input channel"),
        ("depthwise_dilation2", "portable: no kernel for its shape"),
        ("edge_conv_tie", "portable: its numbers leave what the kernel computes exactly"),
        ("fully_connected", "portable: TFLite rounds fully connected layers in another way"),
    ] {
        assert_names(&packed(network, "cortex-m4"), &[reason]);
        assert!(!packed(network, "portable").contains(reason), "{network}");
    }
}

#[test]
fn inspect_tells_whether_channels_never_change() {
    let int8 = "tests/golden/tflite_ops/inverted_residual.tflite";
    assert_names(&printed(&["inspect", int8]), &["every channel can change and matters"]);
    let lines = printed(&["inspect", int8, "--json"]);
    let line: serde_json::Value =
        serde_json::from_str(lines.lines().last().expect("a line")).expect("a JSON object");
    assert_eq!((&line["fold"]["constant_channels"], &line["fold"]["macs"]), (&0.into(), &line["macs"]));
    assert_names(&printed(&["inspect", NETWORK]), &["`ocelli quantize` finds them"]);
}

#[test]
fn inspect_shows_every_problem_at_once() {
    let two = "tests/golden/bad/two_unsupported.onnx";
    let message = refused(&["inspect", two]);
    assert_names(&message, &["two_unsupported.onnx", "2 problems"]);
    let lines = ocelli(&["inspect", two, "--json"]).stdout;
    let problems = String::from_utf8_lossy(&lines).lines().filter(|line| line.contains("remedy")).count();
    assert_eq!(problems, 2);
}

#[test]
fn bad_input_is_named_and_nothing_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(folder.path().join(name), bytes).expect("it is written");
        path(name)
    };
    let model = quantized(folder.path());
    let bytes = std::fs::read(&model).expect("it is there");
    let picture = format!("{}/{PICTURE}", root().display());

    for (name, damaged, words) in [
        ("empty.ocelli", Vec::new(), ["empty.ocelli", "not a packed"]),
        ("cut.ocelli", bytes[..bytes.len() / 2].to_vec(), ["cut.ocelli", "bytes"]),
        ("long.ocelli", [&bytes[..], &[0; 8]].concat(), ["long.ocelli", "bytes"]),
        (
            "flipped.ocelli",
            {
                let mut bytes = bytes.clone();
                let last = bytes.len() - 1;
                bytes[last] ^= 1;
                bytes
            },
            ["flipped.ocelli", "checksum"],
        ),
        (
            "version.ocelli",
            {
                let mut bytes = bytes.clone();
                bytes[8] = 99;
                bytes
            },
            ["version.ocelli", "version 99"],
        ),
    ] {
        let damaged = write(name, &damaged);
        assert_names(&refused(&["run", &damaged, &picture]), &words);
    }
    assert_names(&refused(&["run", &model, &write("text.png", b"not a picture")]), &["text.png", "picture"]);
    assert_names(
        &refused(&["run", &model, &write("short.bin", &[0; 100])]),
        &["short.bin", "100 bytes", "1024"],
    );
    assert_names(&refused(&["run", &model, &path("absent.png")]), &["absent.png"]);
    assert_names(&refused(&["run", &model, &picture, "--on", "qemu:m9"]), &["qemu:m4"]);
    assert_names(&refused(&["run", &model, &picture, "--tile", "32"]), &["width and a height"]);
    let one = format!("{picture}/0027.png");
    assert_names(&printed(&["run", &model, &one, "--tile", "32,32", "--top", "1"]), &["| 7"]);

    let output = path("out.ocelli");
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).expect("a folder");
    let quantize =
        |network: &str, more: &[&str]| refused(&[&["quantize", network, "-o", &output][..], more].concat());
    assert_names(&quantize(NETWORK, &[]), &["--calibrate"]);
    assert_names(&quantize(NETWORK, &["--calibrate", &empty.display().to_string()]), &["empty", "no inputs"]);
    assert_names(
        &quantize(
            &write("cut.onnx", &std::fs::read(root().join(NETWORK)).expect("it")[..5000]),
            &["--calibrate", CALIBRATION],
        ),
        &["cut.onnx"],
    );
    assert_names(&quantize(&model, &["--calibrate", CALIBRATION]), &["packed model"]);
    assert_names(
        &quantize("tests/golden/bad/nan_weights.onnx", &["--calibrate", CALIBRATION]),
        &["nan_weights.onnx"],
    );
    let labels = write("labels.txt", b"one\ntwo\n");
    assert_names(
        &quantize(NETWORK, &["--calibrate", CALIBRATION, "--labels", &labels, "--samples", "4"]),
        &["2 classes", "10 outputs"],
    );
    assert_names(
        &refused(&["quantize", NETWORK, "-o", &path("absent/out.ocelli")]),
        &["no folder", "absent"],
    );
    assert!(!Path::new(&output).exists(), "a refused call wrote a file");
    let names: Vec<String> = std::fs::read_dir(folder.path())
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with(".tmp"))
        .collect();
    assert!(names.is_empty(), "temporary files are left: {names:?}");
}

#[test]
fn eval_refuses_what_would_give_a_wrong_figure() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = quantized(folder.path());
    let held_out = "models/digits/pictures/held-out";
    assert_names(&refused(&["eval", &model, "--data", held_out]), &["--preprocess"]);
    assert_names(
        &refused(&["eval", &model, "--data", PICTURE, "--preprocess", "symmetric"]),
        &["no classes"],
    );
}

#[cfg(unix)]
#[test]
fn a_packed_model_is_as_readable_as_any_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let plain = folder.path().join("plain");
    std::fs::write(&plain, b"").expect("it is written");
    let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode();
    assert_eq!(mode(Path::new(&quantized(folder.path()))), mode(&plain));
}

#[cfg(unix)]
#[test]
fn a_closed_pipe_is_no_failure() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ocelli"))
        .args(["inspect", NETWORK])
        .current_dir(root())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("it starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn every_subcommand_has_help_with_examples() {
    for subcommand in ["inspect", "quantize", "eval", "report", "run"] {
        assert_names(&printed(&[subcommand, "--help"]), &["Examples:", &format!("ocelli {subcommand}")]);
    }
}

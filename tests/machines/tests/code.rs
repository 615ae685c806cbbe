//! How much code images take, and that they hold no more than their model needs.

use std::fs;
use std::path::{Path, PathBuf};

use ocelli_machine_tests::{Network, PackedModel, fast_on, import_int8, own_networks, quantize_float, root};
use ocelli_machines::elf::{self, Contents};
use ocelli_machines::firmware::{Image, build};
use ocelli_machines::toolchain::Toolchain;
use ocelli_machines::{Machine, machine};

/// The machines whose images are measured: one of each set of kernels.
const MACHINES: [&str; 5] = ["m0", "m3", "m4", "m55", "rv32"];

/// What images may take more or less than was recorded: other weights and places are other constants in the code.
const TOLERANCE: f64 = 0.02;

/// Set to write what was measured.
const BLESS: &str = "OCELLI_BLESS";

/// What an image with a model compiled in holds.
fn image(packed: &PackedModel, machine: &'static Machine) -> Contents {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("model.ocelli");
    fs::write(&file, packed.bytes()).expect("it can be written");
    let image = build(machine, Image::Embedded(&file)).unwrap_or_else(|error| panic!("{error}"));
    elf::read(&image).unwrap_or_else(|error| panic!("{error}"))
}

/// Person detection under both rules; none where its files are not beside the repository.
fn person_detection() -> Vec<Network> {
    let folder = root().join("../shared/models/mlperf-tiny");
    if !folder.is_dir() {
        eprintln!("skipped: code of person detection: {} is not there", folder.display());
        return Vec::new();
    }
    let int8 = import_int8(&folder.join("vww_96_int8.tflite"));
    let float = quantize_float(&folder.join("vww_96_float.tflite"));
    [int8, float].map(|network| network.unwrap_or_else(|error| panic!("{error}"))).into()
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/code.txt")
}

/// A line a machine and network: flash of its image without the model, in bytes.
#[test]
fn images_take_the_code_that_was_recorded() {
    let compiler = Toolchain::find().unwrap_or_else(|error| panic!("{error}")).version();
    let header = format!(
        "# Flash of an image without its model, bytes; this test writes the file where {BLESS} is set. Compiled by {compiler}"
    );
    let mut now = Vec::new();
    let person_detection = person_detection();
    for name in MACHINES {
        let machine = machine(name).expect("the table has it");
        for network in own_networks()[..2].iter().chain(&person_detection) {
            let packed = network.packed(fast_on(machine)).unwrap_or_else(|error| panic!("{error}"));
            let bytes = image(&packed, machine).flash_bytes - packed.bytes().len() as u64;
            now.push((format!("{name:5}{:24}", network.name), bytes));
        }
    }
    let line = |(what, bytes): &(String, u64)| format!("{what}{bytes:>7}");
    if std::env::var_os(BLESS).is_some() {
        let lines: Vec<String> = std::iter::once(header).chain(now.iter().map(line)).collect();
        fs::create_dir_all(golden().parent().expect("it is in a folder")).expect("the folder can be made");
        fs::write(golden(), lines.join("\n") + "\n").expect("it can be written");
        return;
    }
    let recorded = fs::read_to_string(golden()).expect("the golden file is there");
    let mut recorded = recorded.lines();
    if recorded.next() != Some(&header) {
        eprintln!("skipped: code of images: recorded with another compiler than {compiler}");
        return;
    }
    let recorded: Vec<&str> = recorded.collect();
    let mut changes = Vec::new();
    for (what, bytes) in &now {
        let then =
            recorded.iter().find_map(|line| line.strip_prefix(what.as_str())?.trim().parse::<u64>().ok());
        let Some(then) = then else {
            changes.push(format!("{what}: not recorded, now {bytes}"));
            continue;
        };
        if (*bytes as f64 / then as f64 - 1.0).abs() > TOLERANCE {
            changes.push(format!("{what}: {then} recorded, now {bytes}"));
        }
    }
    let changes = changes.join("\n");
    assert!(changes.is_empty(), "if that is meant, record it with {BLESS}=1:\n{changes}");
}

/// An image has a function a step's operator, and nothing of kernels for other operators, rules, shapes and targets.
#[test]
fn images_hold_what_their_model_uses() {
    let machine = machine("m4").expect("the table has it");
    let digits = &own_networks()[0];
    let packed = digits.packed(fast_on(machine)).unwrap_or_else(|error| panic!("{error}"));
    let functions = image(&packed, machine).functions;
    let has = |part: &str| functions.iter().any(|name| name.contains(part));
    let operators = (packed.model().operators() & ocelli::operator::OPERATORS).count_ones();
    let steps = functions.iter().filter(|name| name.contains("5steps2go")).count();
    assert!(0 < steps && steps <= operators as usize, "{steps} steps of {operators} operators");
    assert!(has("ocelli_dsp_depthwise_q32"), "{functions:#?}");
    for absent in [
        "_tflite",
        "depthwise_any",
        "attention",
        "softmax",
        "matmul",
        "layout",
        "PRelu",
        "helium",
        "armv7m",
        "armv6m",
        "rv32",
        "from_utf8",
        "core3fmt",
    ] {
        assert!(!has(absent), "{absent}: {functions:#?}");
    }
}

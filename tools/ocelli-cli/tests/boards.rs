//! Boards as users meet them: a new project builds at once, and machines give the host's bytes over their serial ports.

mod command_line;

use std::fs;
use std::path::Path;
use std::time::Duration;

use command_line::{printed, refused};
use ocelli_machines::qemu::Served;
use ocelli_machines::serial::{Board, Frame};
use ocelli_machines::toolchain::Toolchain;
use ocelli_machines::{Machine, firmware, machine};
use ocelli_serial::Kind;

/// Quantizes the digits network for a target.
fn quantized(folder: &Path, target: &str) -> String {
    let file = folder.join(format!("{target}.ocelli")).display().to_string();
    let network = ["quantize", "models/digits/mobilenet_v2_digits.onnx", "--target", target, "-o", &file];
    let data =
        ["--calibrate", "models/digits/pictures/calibration", "--preprocess", "symmetric", "--samples", "20"];
    printed(&[&network[..], &data, &["--labels", "models/digits/labels.txt"]].concat());
    file
}

const PICTURES: &str = "models/digits/pictures/held-out/7";

#[test]
fn machines_give_the_hosts_bytes_over_their_serial_ports() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = quantized(folder.path(), "cortex-m4");
    let text = printed(&["validate", &model, PICTURES, "--on", "qemu:m4"]);
    assert!(text.contains("inputs gave the host's bytes on qemu:m4"), "{text}");
    let text = printed(&["send", PICTURES, "--port", "qemu:m4", "--model", &model, "--json", "--top", "1"]);
    let on_host = printed(&["run", &model, PICTURES, "--json", "--top", "1"]);
    let outputs = |text: &str| -> Vec<serde_json::Value> {
        let lines =
            text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("it is JSON"));
        lines.filter_map(|line| line.get("output").cloned()).collect()
    };
    assert!(outputs(&text).len() > 20);
    assert_eq!(outputs(&text), outputs(&on_host));

    let missing = refused(&["send", PICTURES, "--port", "qemu:m4"]);
    assert!(missing.contains("--model"), "{missing}");
    let missing = refused(&["send", PICTURES, "--port", "no/such/port"]);
    assert!(missing.contains("cannot open the serial port no/such/port"), "{missing}");
    let missing = refused(&["send", PICTURES, "--port", "qemu:none"]);
    assert!(missing.contains("qemu:m4"), "{missing}");
}

/// Makes a project, builds it, runs its image on a machine, and compares outputs with the host's.
fn check_project(board: &str, target: &str, machine: &'static Machine) {
    let folder = tempfile::tempdir().expect("a folder");
    let model = quantized(folder.path(), target);
    // The projects are built side by side in one target folder, where cargo tells packages apart by name.
    let package = format!("app-on-{}", machine.name);
    let project = folder.path().join(&package);
    let name = project.display().to_string();
    printed(&["new", &name, "--board", board, "--model", &model]);

    let mut cargo = Toolchain::find().unwrap_or_else(|error| panic!("{error}")).cargo();
    // What other images of this repository compiled need not be compiled again.
    let built = firmware::boards().unwrap_or_else(|error| panic!("{error}")).join("target");
    cargo.args(["build", "--quiet", "--release", "--target-dir"]).arg(&built).current_dir(&project);
    assert!(cargo.status().expect("cargo starts").success(), "{board}");
    let image = built.join(machine.target).join("release").join(&package);

    let length = 32 * 32;
    let bytes: Vec<u8> = (0..3 * length).map(|index: usize| (index * index / 7) as u8).collect();
    let inputs = folder.path().join("inputs.bin");
    fs::write(&inputs, &bytes).expect("it can be written");
    let outputs = folder.path().join("outputs");
    let [inputs, outputs] = [inputs, outputs].map(|path| path.display().to_string());
    printed(&["run", &model, &inputs, "--output", &outputs]);

    let (_served, port) = Served::start_with(machine, &image).unwrap_or_else(|error| panic!("{error}"));
    let mut board = Board::new(port, Duration::from_secs(60));
    let info = board.info().unwrap_or_else(|error| panic!("{error}"));
    let mut found = Vec::new();
    for bytes in bytes.chunks_exact(length) {
        let answer = board.run(&info, Frame { kind: Kind::Values, bytes });
        found.extend(answer.unwrap_or_else(|error| panic!("{error}")).output);
    }
    let expected: Vec<i8> =
        fs::read(outputs).expect("it was written").iter().map(|value| value.cast_signed()).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_new_project_for_a_machine_classifies() {
    check_project("qemu:m4", "cortex-m4", machine("m4").expect("the table has it"));
}

#[test]
fn a_new_project_for_risc_v_classifies() {
    check_project("qemu:rv32", "rv32", machine("rv32").expect("the table has it"));
}

#[test]
fn projects_that_cannot_be_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = quantized(folder.path(), "cortex-m4");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let new = |name: &str, board: &str, model: &str| {
        refused(&["new", &path(name), "--board", board, "--model", model])
    };
    assert!(new("9lives", "qemu:m4", &model).contains("a letter first"));
    assert!(new("app", "arduino", &model).contains("qemu:m4"));
    assert!(new("app", "qemu:m0", &model).contains("--target armv6m"));
    assert!(new("app", "qemu:m4", &path("none.ocelli")).contains("cannot read"));
    assert!(new("app", "qemu:m4", "README.md").contains("not a packed Ocelli model"));
    fs::create_dir(path("there")).expect("it can be made");
    assert!(new("there", "qemu:m4", &model).contains("is there already"));
    assert!(!Path::new(&path("app")).exists());
    let elsewhere =
        ["new", &path("app"), "--board", "qemu:m4", "--model", &model, "--ocelli", &path("there")];
    assert!(refused(&elsewhere).contains("not Ocelli's repository"));
}

#[test]
fn a_model_is_installed_and_what_cannot_be_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let model = "crates/ocelli-format/tests/golden/v2_rv32.ocelli";
    let port = format!("qemu:rv32:{}", path("flash"));
    // Signed or not: this image trusts anyone.
    let key = path("key.pem");
    let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
    fs::write(&key, pem).expect("it can be written");
    let text = printed(&["install", model, "--port", &port, "--key", &key]);
    assert!(text.contains("runs crates/ocelli-format/tests/golden/v2_rv32.ocelli (7 099 bytes)"), "{text}");
    let input = path("input.bin");
    fs::write(&input, vec![3; 4096]).expect("it can be written");
    let other =
        refused(&["send", &input, "--port", &port, "--model", "crates/ocelli-format/tests/golden/v2.ocelli"]);
    assert!(other.contains("another model"), "{other}");

    fs::write(&key, "no key").expect("it can be written");
    let no_key = refused(&["install", model, "--port", &port, "--key", &key]);
    assert!(no_key.contains("openssl genpkey"), "{no_key}");
    let no_flash = refused(&["install", model, "--port", "qemu:m4"]);
    assert!(no_flash.contains("qemu:rv32:flash.bin"), "{no_flash}");
    let no_flash = refused(&["install", model, "--port", &format!("qemu:m4:{}", path("other"))]);
    assert!(no_flash.contains("only rv32 has") && !Path::new(&path("other")).exists(), "{no_flash}");
    let no_model = refused(&["install", "README.md", "--port", &port]);
    assert!(no_model.contains("not a packed Ocelli model"), "{no_model}");
}

/// A program in place of probe-rs, which is not everywhere and whose probes are nowhere here: it keeps what it was called with, and fails with a line.
#[cfg(unix)]
fn stand_in(folder: &Path, message: &str) {
    use std::os::unix::fs::PermissionsExt;
    let program = folder.join("probe-rs");
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = --version ] && exit 0\necho \"$@\" >'{}/called'\necho '{message}' >&2\nexit 1\n",
        folder.display()
    );
    fs::write(&program, script).expect("it can be written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("they can be set");
}

#[cfg(unix)]
#[test]
fn firmware_of_a_board_is_handed_to_probe_rs() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = quantized(folder.path(), "cortex-m4");
    let path = std::env::var("PATH").unwrap_or_default();
    let flash = |path: &str, board: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ocelli"));
        let output = command.args(["flash", &model, "--board", board]).env("PATH", path).output();
        let output = output.expect("it starts");
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let nothing = folder.path().join("nothing").display().to_string();
    assert!(flash(&nothing, "nucleo-f446re").contains("cargo install probe-rs-tools"));
    stand_in(folder.path(), "Error: No connected probes were found.");
    let path = format!("{}:{path}", folder.path().display());
    let text = flash(&path, "nucleo-f446re");
    assert!(text.contains("no probe is connected: plug the board in"), "{text}");
    let called = fs::read_to_string(folder.path().join("called")).expect("it was called");
    assert!(
        called.starts_with("run --chip STM32F446RE") && called.contains("/release/nucleo-f446re"),
        "{called}"
    );
    let text = flash(&path, "microbit");
    assert!(text.contains("--target armv6m"), "{text}");
    assert!(flash(&path, "arduino").contains("nucleo-f446re"));
}

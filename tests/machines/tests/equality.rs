//! Every machine gives the host's bytes.

use std::time::Duration;

use ocelli_machine_tests::{PackedModel, import_int8, own_networks, root, single_operators};
use ocelli_machines::machine;
use ocelli_machines::qemu::Runner;

const LIMIT: Duration = Duration::from_secs(300);

/// The machines that run the largest network, which takes long: one Arm, one RISC-V.
const LARGEST_ON: [&str; 2] = ["m4", "rv32"];

fn differences(runner: &Runner, models: &[PackedModel], inputs: u32) -> Vec<String> {
    let check = |packed: &PackedModel| {
        let inputs = packed.inputs(inputs);
        let batch = match runner.run(packed.bytes(), &inputs, LIMIT) {
            Ok(batch) => batch,
            Err(error) => return Some(format!("{}: {error}", packed.name)),
        };
        let expected = packed.run_on_host(&inputs);
        let wrong = expected.iter().zip(&batch.outputs).filter(|(expected, found)| expected != found).count();
        (expected != batch.outputs)
            .then(|| format!("{}: {wrong} of {} bytes differ", packed.name, expected.len()))
    };
    models.iter().filter_map(check).collect()
}

fn equals_host(name: &str) {
    let runner =
        Runner::new(machine(name).expect("the table has it")).unwrap_or_else(|error| panic!("{error}"));
    let mut different = differences(&runner, single_operators(), 2);

    different.extend(differences(&runner, own_networks(), 2));

    let shared = root().join("../shared/models");
    if shared.is_dir() {
        let models: Vec<PackedModel> = [
            "mlperf-tiny/vww_96_int8",
            "mlperf-tiny/kws_ref_model",
            "mlperf-tiny/pretrainedResnet_quant",
            "mlperf-tiny/ad01_int8",
            "cifar10/mobilenet_v2_0.35_96_cifar10_int8_ptq",
        ]
        .iter()
        .chain(LARGEST_ON.contains(&name).then_some(&"imagenet/mobilenet_v1_0.25_224_int8_ptq"))
        .map(|path| {
            import_int8(&shared.join(format!("{path}.tflite"))).unwrap_or_else(|error| panic!("{error}"))
        })
        .collect();
        different.extend(differences(&runner, &models, 1));
    } else {
        eprintln!("skipped: shared models on {name}: {} is not there", shared.display());
    }
    assert!(different.is_empty(), "{name}:\n{}", different.join("\n"));
}

#[test]
fn m0_equals_host() {
    equals_host("m0");
}

#[test]
fn m3_equals_host() {
    equals_host("m3");
}

#[test]
fn m4_equals_host() {
    equals_host("m4");
}

#[test]
fn m7_equals_host() {
    equals_host("m7");
}

#[test]
fn m33_equals_host() {
    equals_host("m33");
}

#[test]
fn m55_equals_host() {
    equals_host("m55");
}

#[test]
fn rv32_equals_host() {
    equals_host("rv32");
}

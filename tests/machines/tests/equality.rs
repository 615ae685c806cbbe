//! Every machine gives the host's bytes, on kernels of its own.

use std::time::Duration;

use ocelli::{Operator, Target};
use ocelli_machine_tests::{
    Network, PackedModel, attention_sample, fast_on, import_int8, own_networks, root, single_operators,
};
use ocelli_machines::machine;
use ocelli_machines::qemu::Runner;

const LIMIT: Duration = Duration::from_secs(300);

/// The machines that run the largest network, which takes long: one Arm, one RISC-V.
const LARGEST_ON: [&str; 2] = ["m4", "rv32"];

/// The machine that runs the portable form as well as its own.
const PORTABLE_ON: &str = "m4";

/// Runs networks on a machine, packed for targets, and compares with the portable kernels on the host.
fn differences(runner: &Runner, networks: &[Network], targets: &[Target], inputs: u32) -> Vec<String> {
    let check = |network: &Network| -> Result<(), String> {
        let portable = network.packed(Target::Portable)?;
        let inputs = portable.inputs(inputs);
        let expected = portable.run_on_host(&inputs);
        targets.iter().try_for_each(|&target| compare(runner, &network.packed(target)?, &inputs, &expected))
    };
    networks
        .iter()
        .filter_map(|network| Some(format!("{}: {}", network.name, check(network).err()?)))
        .collect()
}

fn compare(runner: &Runner, packed: &PackedModel, inputs: &[u8], expected: &[u8]) -> Result<(), String> {
    let batch =
        runner.run(packed.bytes(), inputs, LIMIT).map_err(|error| format!("{}: {error}", packed.name))?;
    let wrong = expected.iter().zip(&batch.outputs).filter(|(expected, found)| expected != found).count();
    if expected == batch.outputs {
        return Ok(());
    }
    Err(format!("{}: {wrong} of {} bytes differ", packed.name, expected.len()))
}

fn equals_host(name: &str) {
    let machine = machine(name).expect("the table has it");
    let runner = Runner::new(machine).unwrap_or_else(|error| panic!("{error}"));
    // One machine runs the portable form, too.
    let both = [fast_on(machine), Target::Portable];
    let targets = if name == PORTABLE_ON { &both[..] } else { &both[..1] };
    let mut different = differences(&runner, single_operators(), targets, 2);
    different.extend(differences(&runner, own_networks(), targets, 2));

    let sample = attention_sample();
    let inputs = sample.inputs(2);
    different.extend(compare(&runner, &sample, &inputs, &sample.run_on_host(&inputs)).err());

    let shared = root().join("../shared/models");
    if shared.is_dir() {
        let networks: Vec<Network> = [
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
        different.extend(differences(&runner, &networks, targets, 1));
    } else {
        eprintln!("skipped: shared models on {name}: {} is not there", shared.display());
    }
    assert!(different.is_empty(), "{name}:\n{}", different.join("\n"));
}

#[test]
fn every_operator_is_in_a_case() {
    let mut operators = attention_sample().model().operators();
    for network in single_operators().iter().chain(own_networks()) {
        for target in [Target::Portable, Target::Helium] {
            let packed = network.packed(target).unwrap_or_else(|error| panic!("{}: {error}", network.name));
            operators |= packed.model().operators();
        }
    }
    let missing = Operator::ALL.into_iter().find(|operator| operators & operator.bit() == 0);
    assert_eq!(missing, None);
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

//! Images with a model compiled in: they hold nothing that panics, and give the host's class.

use std::fs;
use std::mem::offset_of;
use std::time::Duration;

use ocelli::{Target, operator};
use ocelli_format::{Header, seal};
use ocelli_machine_tests::{PackedModel, fast_on, import_int8, quantize_float, root};
use ocelli_machines::firmware::{Image, build};
use ocelli_machines::qemu::{Runner, run_image};
use ocelli_machines::{MACHINES, Machine, SMALL_MACHINES, elf, machine};

/// A packed model that claims to use every operator, so that the image holds them all.
fn with_all_operators(packed: &PackedModel) -> PackedModel {
    let mut bytes = packed.bytes().to_vec();
    bytes[offset_of!(Header, operators)..][..8].copy_from_slice(&operator::OPERATORS.to_le_bytes());
    seal(&mut bytes);
    PackedModel::new(&format!("{}_with_all_operators", packed.name), &bytes)
}

/// Checks the image of a model on a machine, and gives its bytes of flash without the model, and of static memory.
fn check(packed: &PackedModel, machine: &'static Machine) -> [u64; 2] {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(format!("{}.ocelli", packed.name));
    fs::write(&file, packed.bytes()).expect("it can be written");
    let inputs = packed.inputs(1);
    fs::write(folder.path().join("inputs"), &inputs).expect("it can be written");
    let image = build(machine, Image::Embedded(&file)).unwrap_or_else(|error| panic!("{error}"));
    let contents = elf::read(&image).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(contents.panics, [""; 0], "{} on {}", packed.name, machine.name);

    let outputs: Vec<i8> = packed.run_on_host(&inputs).iter().map(|value| value.cast_signed()).collect();
    let best = outputs.iter().max();
    let class = outputs.iter().position(|value| Some(value) == best).expect("there is an output");
    let printed = run_image(machine, &image, folder.path(), Duration::from_secs(60));
    let printed = printed.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(printed.trim(), format!("class {class}"), "{} on {}", packed.name, machine.name);
    [contents.flash_bytes - packed.bytes().len() as u64, contents.ram_bytes]
}

/// Every operator with the portable kernels, and with those of the machine.
#[test]
fn images_do_not_panic_and_give_the_class() {
    let digits = quantize_float(&root().join("models/digits/mobilenet_v2_digits.onnx"));
    let digits = digits.unwrap_or_else(|error| panic!("{error}"));
    for machine in MACHINES {
        for target in [Target::Portable, fast_on(machine)] {
            let packed = digits.packed(target).unwrap_or_else(|error| panic!("{error}"));
            check(&with_all_operators(&packed), machine);
        }
    }
}

#[test]
fn person_detection_runs_in_16_kib_of_ram() {
    let file = root().join("../shared/models/mlperf-tiny/vww_96_int8.tflite");
    if !file.is_file() {
        eprintln!("skipped: {} is not there", file.display());
        return;
    }
    let vww = import_int8(&file).and_then(|network| network.packed(Target::Portable));
    let vww = vww.unwrap_or_else(|error| panic!("{error}"));
    let microbit = &SMALL_MACHINES[0];
    assert_eq!((microbit.name, microbit.ram.length), ("microbit", 16 << 10));
    let [code_bytes, static_bytes] = check(&vww, microbit);
    let arena_bytes = vww.model().arena_bytes();
    assert!(code_bytes <= 40 << 10, "{code_bytes} bytes of code");
    assert!(arena_bytes <= 14_500, "{arena_bytes} bytes of arena");

    let stack_bytes = stack_bytes(&vww, "m0");
    let taken = static_bytes + stack_bytes;
    assert!(taken <= 16 << 10, "{static_bytes} bytes of static memory, {stack_bytes} bytes of stack");
}

#[test]
fn a_vision_transformer_runs_in_128_kib_of_ram_and_1_mib_of_flash() {
    let mobilevit = quantize_float(&root().join("models/cifar10/mobilevit_cifar10.onnx"))
        .and_then(|network| network.packed(Target::Dsp))
        .unwrap_or_else(|error| panic!("{error}"));
    let netduino = &SMALL_MACHINES[1];
    assert_eq!((netduino.ram.length, netduino.code.length), (128 << 10, 1 << 20));
    let [code_bytes, static_bytes] = check(&mobilevit, netduino);
    let flash_bytes = code_bytes + mobilevit.bytes().len() as u64;
    assert!(flash_bytes <= 1 << 20, "{flash_bytes} bytes of flash");
    let stack_bytes = stack_bytes(&mobilevit, "m4");
    let taken = static_bytes + stack_bytes;
    assert!(taken <= 128 << 10, "{static_bytes} bytes of static memory, {stack_bytes} bytes of stack");
}

/// The stack that a model takes, as a machine with memory to spare says: it has what static memory leaves.
fn stack_bytes(packed: &PackedModel, name: &str) -> u64 {
    let runner =
        Runner::new(machine(name).expect("the table has it")).unwrap_or_else(|error| panic!("{error}"));
    let batch = runner.run(packed.bytes(), &packed.inputs(1), Duration::from_secs(60));
    batch.unwrap_or_else(|error| panic!("{error}")).report.stack_bytes
}

//! Images with a model compiled in: they hold nothing that panics, and give the host's class.

use std::fs;
use std::mem::offset_of;
use std::time::Duration;

use ocelli::operator;
use ocelli_format::{Header, seal};
use ocelli_machine_tests::{PackedModel, single_operators};
use ocelli_machines::firmware::{Image, build};
use ocelli_machines::qemu::run_image;
use ocelli_machines::{MACHINES, elf};

/// A packed model that claims to use every operator, so that the image holds them all.
fn with_all_operators(packed: &PackedModel) -> PackedModel {
    let mut bytes = packed.bytes().to_vec();
    bytes[offset_of!(Header, operators)..][..4].copy_from_slice(&operator::ALL.to_le_bytes());
    seal(&mut bytes);
    PackedModel::new(&format!("{}_with_all_operators", packed.name), &bytes)
}

#[test]
fn images_do_not_panic_and_give_the_class() {
    let folder = tempfile::tempdir().expect("a folder");
    let operators = single_operators();
    let convolution =
        operators.iter().find(|packed| packed.name == "conv_3x3_s2_same_even").expect("it is there");
    for packed in [with_all_operators(convolution)] {
        let file = folder.path().join(format!("{}.ocelli", packed.name));
        fs::write(&file, packed.bytes()).expect("it can be written");
        let inputs = packed.inputs(1);
        fs::write(folder.path().join("inputs"), &inputs).expect("it can be written");
        let outputs = packed.run_on_host(&inputs);
        let best = outputs.iter().map(|value| value.cast_signed()).max();
        let class = outputs.iter().position(|value| Some(value.cast_signed()) == best);
        for machine in MACHINES {
            let image = build(machine, Image::Embedded(&file)).unwrap_or_else(|error| panic!("{error}"));
            let contents = elf::read(&image).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(contents.panics, [""; 0], "{} on {}", packed.name, machine.name);
            let printed = run_image(machine, &image, folder.path(), Duration::from_secs(60));
            let printed = printed.unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(
                printed.trim(),
                format!("class {}", class.expect("there is an output")),
                "{}",
                machine.name
            );
        }
    }
}

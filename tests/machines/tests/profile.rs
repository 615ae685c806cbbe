//! What each step of a model takes.

use std::time::Duration;

use ocelli_machine_tests::{own_networks, single_operators};
use ocelli_machines::machine;
use ocelli_machines::qemu::Runner;

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn steps_have_the_models_operations_together() {
    for packed in single_operators().iter().chain(own_networks()) {
        let model = packed.model();
        let steps: u64 = model.steps().map(|step| model.step_macs(&step)).sum();
        // The packed model of all operators is made by hand and states none.
        if model.macs() != 0 {
            assert_eq!(steps, u64::from(model.macs()), "{}", packed.name);
        }
    }
}

#[test]
fn steps_take_the_models_instructions_together() {
    let runner =
        Runner::new(machine("m4").expect("the table has it")).unwrap_or_else(|error| panic!("{error}"));
    let packed = &own_networks()[0];
    let (model, input) = (packed.model(), packed.inputs(1));
    let whole = runner.run(packed.bytes(), &input, LIMIT).unwrap_or_else(|error| panic!("{error}"));
    let steps = runner.profile(packed.bytes(), model.steps().count(), &input, LIMIT);
    let steps = steps.unwrap_or_else(|error| panic!("{error}"));
    assert!(steps.iter().all(|&instructions| instructions > 0), "{steps:?}");
    let (sum, whole) = (steps.iter().sum::<u64>() as f64, whole.report.instructions as f64);
    assert!((sum / whole - 1.0).abs() < 0.01, "{sum} by step, {whole} together");
}

//! What each step of a model takes.

use std::time::Duration;

use ocelli::Target;
use ocelli_machine_tests::{own_networks, single_operators};
use ocelli_machines::qemu::Runner;
use ocelli_machines::{cycles, machine};

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn steps_have_the_models_operations_together() {
    for network in single_operators().iter().chain(own_networks()) {
        for target in [Target::Portable, Target::Helium] {
            let packed = network.packed(target).unwrap_or_else(|error| panic!("{}: {error}", network.name));
            let model = packed.model();
            let steps: u64 = model.steps().map(|step| model.step_macs(&step)).sum();
            assert_eq!(steps, u64::from(model.macs()), "{}", packed.name);
        }
    }
}

#[test]
fn steps_take_the_models_instructions_together() {
    let runner =
        Runner::new(machine("m4").expect("the table has it")).unwrap_or_else(|error| panic!("{error}"));
    let packed = &own_networks()[0].packed(Target::Portable).unwrap_or_else(|error| panic!("{error}"));
    let (model, input) = (packed.model(), packed.inputs(1));
    let whole = runner.run(packed.bytes(), &input, LIMIT).unwrap_or_else(|error| panic!("{error}"));
    let steps = runner.profile(packed.bytes(), model.steps().count(), &input, LIMIT);
    let steps = steps.unwrap_or_else(|error| panic!("{error}"));
    assert!(steps.iter().all(|step| step.instructions > 0), "{steps:?}");
    let sum = steps.iter().map(|step| step.instructions).sum::<u64>();
    let (sum, whole) = (sum as f64, whole.report.instructions as f64);
    assert!((sum / whole - 1.0).abs() < 0.01, "{sum} by step, {whole} together");
}

#[test]
fn cycles_are_estimated_for_cores_whose_timings_are_known() {
    if !cycles::build().unwrap_or_else(|error| panic!("{error}")) {
        eprintln!("skipped: estimates of cycles: no C compiler `cc` builds the plugin");
        return;
    }
    let packed = &own_networks()[0].packed(Target::Portable).unwrap_or_else(|error| panic!("{error}"));
    let (steps, input) = (packed.model().steps().count(), packed.inputs(1));
    let ratio = |name: &str| {
        let runner =
            Runner::new(machine(name).expect("the table has it")).unwrap_or_else(|error| panic!("{error}"));
        let costs =
            runner.profile(packed.bytes(), steps, &input, LIMIT).unwrap_or_else(|error| panic!("{error}"));
        let instructions: u64 = costs.iter().map(|cost| cost.instructions).sum();
        let cycles: Option<u64> = costs.iter().map(|cost| cost.cycles).sum();
        cycles.map(|cycles| cycles as f64 / instructions as f64)
    };
    // M0 takes two cycles for each load and four for a call; M3 more than M4 for what multiplies.
    let [m0, m3, m4] = ["m0", "m3", "m4"].map(|name| ratio(name).expect("its timings are known"));
    assert!(1.05 < m4 && m4 < 1.6, "{m4}");
    assert!(1.1 < m3 && m3 < 2.0, "{m3}");
    assert!(1.3 < m0 && m0 < 2.5, "{m0}");
    assert_eq!(ratio("m7"), None);
}

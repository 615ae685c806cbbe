//! Arenas: too small, larger than needed, and what lies around them.

use ocelli::{Engine, EngineError, Model, RunError, operator};
use ocelli_format::{Metadata, seal};

use crate::network::AlignedBytes;
use crate::sample;

type All<'m, 'a> = Engine<'m, 'a, { operator::ALL }>;

#[test]
fn an_arena_of_one_byte_less_is_refused() {
    let file = AlignedBytes::new(&sample::file());
    let model = Model::open(file.get()).unwrap();
    let needed = model.arena_bytes();
    let mut arena = vec![0; needed - 1];
    assert_eq!(All::new(model, &mut arena).err(), Some(EngineError::Arena { needed, given: needed - 1 }));
    assert_eq!(All::new(model, &mut []).err(), Some(EngineError::Arena { needed, given: 0 }));
}

#[test]
fn nothing_around_the_arena_changes() {
    const GUARD: usize = 64;
    let file = AlignedBytes::new(&sample::file());
    let model = Model::open(file.get()).unwrap();
    let needed = model.arena_bytes();
    // At any alignment, and of any length that is enough.
    for (shift, extra) in [(0, 0), (1, 0), (2, 5), (3, 1000)] {
        let mut memory = vec![0xa5; GUARD + shift + needed + extra + GUARD];
        let arena = GUARD + shift..GUARD + shift + needed;
        let mut engine = All::new(model, &mut memory[arena.start..arena.end + extra]).unwrap();
        assert_eq!(engine.self_test(), Ok(Some(true)));
        assert!(memory[..arena.start].iter().chain(&memory[arena.end..]).all(|&byte| byte == 0xa5));
    }
}

#[test]
fn an_input_of_another_length_is_refused_and_the_engine_goes_on() {
    let file = AlignedBytes::new(&sample::file());
    let model = Model::open(file.get()).unwrap();
    let mut arena = vec![0; model.arena_bytes()];
    let mut engine = All::new(model, &mut arena).unwrap();
    for length in [0, 89, 91] {
        let refusal = engine.run(&vec![0; length]).map(|output| output.to_vec());
        assert_eq!(refusal, Err(RunError::InputLength { expected: 90, found: length }));
    }
    assert_eq!(engine.self_test(), Ok(Some(true)));
}

#[test]
fn the_ways_to_run_agree() {
    let file = AlignedBytes::new(&sample::file());
    let model = Model::open(file.get()).unwrap();
    let mut arena = vec![0; model.arena_bytes()];
    let mut engine = All::new(model, &mut arena).unwrap();
    let input = sample::bytes(3, 90);
    let expected = engine.run(&input).unwrap().to_vec();
    engine.input_mut().copy_from_slice(&input);
    assert_eq!(engine.invoke().unwrap().values(), expected);
    let mut seen = Vec::new();
    let mut last = Vec::new();
    let output = engine
        .run_observed(&input, |index, step, rows, values| {
            let tensor = model.tensor(step.output).unwrap();
            assert_eq!((rows, values.len()), (0..tensor.height.into(), tensor.len()));
            seen.push(index);
            last = values.to_vec();
        })
        .unwrap();
    assert_eq!(output.values(), expected);
    assert_eq!((seen, last), ((0..model.steps().count()).collect(), expected));
}

#[test]
fn a_target_that_was_not_linked_is_refused_by_name() {
    let mut file = AlignedBytes::new(&sample::file());
    file.get_mut()[10] = 1;
    seal(file.get_mut());
    let model = Model::open(file.get()).unwrap();
    let mut arena = vec![0; model.arena_bytes()];
    let refusal =
        Engine::<{ operator::ALL & !ocelli::Target::Dsp.bit() }>::new(model, &mut arena).err().unwrap();
    assert_eq!(refusal, EngineError::Target { found: ocelli::Target::Dsp });
    let message = refusal.to_string();
    assert!(message.contains("`dsp`") && message.contains("--target portable"), "{message}");
}

#[test]
fn an_operator_that_was_not_linked_is_refused_by_name() {
    let file = AlignedBytes::new(&sample::file());
    let model = Model::open(file.get()).unwrap();
    let mut arena = vec![0; model.arena_bytes()];
    let refusal = Engine::<{ operator::ALL & !ocelli::Operator::Transpose.bit() }>::new(model, &mut arena)
        .err()
        .unwrap();
    assert_eq!(refusal, EngineError::Operator { step: 9, operator: ocelli::Operator::Transpose });
    assert!(refusal.to_string().contains("Transpose"));
}

#[test]
fn a_model_without_a_self_test_says_so() {
    let mut network = crate::network::Network::default();
    let input = network.tensor([1, 2, 3], 1.0, 0);
    let file = AlignedBytes::new(&network.file(input, input, &Metadata::default()));
    let model = Model::open(file.get()).unwrap();
    let mut arena = vec![0; model.arena_bytes()];
    let mut engine = All::new(model, &mut arena).unwrap();
    assert_eq!(engine.self_test(), Ok(None));
    assert_eq!(engine.run(&[1, 2, 3, 4, 5, 6]).unwrap().values(), [1, 2, 3, 4, 5, 6]);
}

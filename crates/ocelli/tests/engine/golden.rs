//! The golden files of format version 2: what was packed once must be read and give the same output for as long as the version stands.

use ocelli::{Engine, IncludedModel, Model, Numerics, Operator, Target, include_model, operator};

use crate::network::AlignedBytes;
use crate::{attention_sample, packed_sample, sample};

const MODEL: IncludedModel = include_model!("../../../ocelli-format/tests/golden/v2.ocelli");
/// The operators that were added to the version later.
const ATTENTION: IncludedModel = include_model!("../../../ocelli-format/tests/golden/v2_attention.ocelli");
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../ocelli-format/tests/golden");

/// `OCELLI_BLESS=1` writes the files; that is right only together with a new format version.
#[test]
fn the_writer_gives_the_golden_files() {
    let portable = [("v2".to_owned(), sample::file()), ("v2_attention".to_owned(), attention_sample::file())];
    let packed =
        packed_sample::TARGETS.map(|target| (format!("v2_{}", target.name()), packed_sample::file(target)));
    for (name, file) in portable.into_iter().chain(packed) {
        let path = format!("{FOLDER}/{name}.ocelli");
        if std::env::var_os("OCELLI_BLESS").is_some() {
            std::fs::write(&path, &file).unwrap();
        }
        let golden = std::fs::read(path).unwrap();
        let first_difference = file.iter().zip(&golden).position(|(a, b)| a != b);
        assert_eq!((file.len(), first_difference), (golden.len(), None), "{name}");
    }
}

#[test]
fn the_golden_files_have_every_operator() {
    let portable = Operator::ALL.iter().filter(|operator| !operator.is_packed());
    let expected = portable.fold(Target::Portable.bit(), |operators, operator| operators | operator.bit());
    assert_eq!(MODEL.operators() | ATTENTION.operators(), expected);
}

#[test]
fn the_golden_files_of_targets_have_their_packed_operators_and_run() {
    let packed = Operator::ALL.iter().filter(|operator| operator.is_packed());
    let packed = packed.fold(0, |operators, operator| operators | operator.bit());
    for target in packed_sample::TARGETS {
        let file = std::fs::read(format!("{FOLDER}/v2_{}.ocelli", target.name())).unwrap();
        let file = AlignedBytes::new(&file);
        let model = Model::open(file.get()).unwrap();
        assert_eq!((model.target(), model.operators() & !operator::KERNELS), (target, packed | target.bit()));
        let mut arena = vec![0x33; model.arena_bytes()];
        let mut engine = Engine::<{ operator::ALL }>::new(model, &mut arena).unwrap();
        assert_eq!(engine.self_test(), Ok(Some(true)), "{}", target.name());
        assert_eq!(engine.self_test(), Ok(Some(true)), "{}", target.name());
    }
}

/// What a target computes does not depend on it: the samples differ in their parameters' layout alone.
#[test]
fn the_golden_files_of_all_targets_give_one_output() {
    let outputs = packed_sample::TARGETS.map(|target| {
        let file = AlignedBytes::new(&packed_sample::file(target));
        Model::open(file.get()).unwrap().self_test().unwrap().output.to_vec()
    });
    assert!(outputs[0].iter().any(|&value| value != outputs[0][0]), "{outputs:?}");
    assert!(outputs.iter().all(|output| *output == outputs[0]), "{outputs:?}");
}

#[test]
fn an_included_model_runs_with_its_own_operators() {
    let mut arena = [0; MODEL.arena_bytes()];
    let model = MODEL.open().unwrap();
    let mut engine = Engine::<{ MODEL.operators() }>::new(model, &mut arena).unwrap();
    assert_eq!(engine.self_test(), Ok(Some(true)));
    assert_eq!(engine.self_test(), Ok(Some(true)), "a run leaves nothing behind that changes the next");

    let mut arena = [0; ATTENTION.arena_bytes()];
    let model = ATTENTION.open().unwrap();
    let mut engine = Engine::<{ ATTENTION.operators() }>::new(model, &mut arena).unwrap();
    assert_eq!(engine.self_test(), Ok(Some(true)));
    assert_eq!(engine.self_test(), Ok(Some(true)), "a run leaves nothing behind that changes the next");
}

#[test]
fn the_golden_file_says_what_it_was_made_from() {
    let model = MODEL.open().unwrap();
    assert_eq!((MODEL.arena_bytes(), MODEL.file_bytes()), (model.arena_bytes(), model.file_bytes()));
    assert_eq!(model.numerics(), Numerics::Q32);
    assert_eq!((model.name(), model.macs()), ("every operator", 12_345));
    assert_eq!(model.labels().count(), 24);
    assert_eq!(model.labels().nth(23), Some("class 23"));
    let preprocessing = model.preprocessing().unwrap();
    assert!(preprocessing.bgr);
    assert_eq!(preprocessing.table(1).unwrap()[100], 500u16 as u8 as i8);
    assert!(preprocessing.table(3).is_none());
    let made: Vec<Operator> = model.steps().map(|step| step.operator).collect();
    assert!(
        Operator::ALL
            .iter()
            .all(|operator| made.contains(operator) == (MODEL.operators() & operator.bit() != 0))
    );
}

#[test]
fn labels_come_with_the_best_classes() {
    let model = MODEL.open().unwrap();
    let mut arena = vec![0; model.arena_bytes()];
    let mut engine = Engine::<{ operator::ALL }>::new(model, &mut arena).unwrap();
    let output = engine.run(&sample::bytes(1, 90)).unwrap();
    let mut order: Vec<usize> = (0..output.len()).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(output[index]));
    let best = output.top_k::<5>();
    assert_eq!(best.iter().map(|class| class.index).collect::<Vec<_>>(), order[..5]);
    for class in &best {
        assert_eq!(class.label(), Some(format!("class {}", class.index).as_str()));
        assert_eq!(
            (class.value, class.score()),
            (output[class.index], f32::from(i16::from(class.value) + 128) / 256.0)
        );
    }
    assert!(output.top_k::<0>().is_empty());
    assert_eq!(output.top_k::<30>().len(), 24);
}

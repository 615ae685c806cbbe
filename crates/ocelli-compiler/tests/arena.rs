//! The arena of a packed model is exact: the repository's models run in it on every target, with no byte around it touched, and do not
//! start with one byte less.

use std::path::Path;

use ocelli::{Engine, EngineError, Feed, Model, Target, operator};
use ocelli_compiler::calibrate::data::{DataOptions, Dataset};
use ocelli_compiler::import;
use ocelli_compiler::pack::{AlignedBytes, pack};
use ocelli_compiler::plan::{Optimize, PlanOptions, plan_for};
use ocelli_compiler::quantize::{Options, quantize};
use ocelli_compiler::quantized::QuantizedGraph;
use ocelli_compiler::simplify::simplify;
use ocelli_format::Metadata;

/// Bytes around the arena, and what they hold.
const GUARD: usize = 256;
const POISON: u8 = 0xa5;

fn network(file: &str) -> QuantizedGraph {
    let digits = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/digits");
    let mut graph = import::load(&digits.join(file)).unwrap().graph;
    simplify(&mut graph);
    let options = DataOptions { preprocessing: "symmetric".parse().unwrap(), ..DataOptions::default() };
    let shape = graph.tensor(graph.inputs[0]).shape;
    let data = Dataset::open(&[digits.join("pictures/calibration")], shape, &options).unwrap();
    quantize(&graph, &data, &Options { samples: 10, ..Options::default() }, &|_, _, _| {}).unwrap().graph
}

/// Runs the self-test of a packed file in its arena between guards; the arena's bytes.
fn between_guards(file: &[u8], of: &str) -> usize {
    let file = AlignedBytes::new(file);
    let model = Model::open(file.bytes()).unwrap();
    let bytes = model.arena_bytes();
    let mut memory = vec![POISON; bytes + 2 * GUARD];
    let short = &mut memory[GUARD..GUARD + bytes - 1];
    let refused = Engine::<{ operator::ALL }>::new(model, short).err();
    assert_eq!(refused, Some(EngineError::Arena { needed: bytes, given: bytes - 1 }), "{of}");
    let arena = &mut memory[GUARD..GUARD + bytes];
    let mut engine = Engine::<{ operator::ALL }>::new(model, arena).unwrap();
    assert_eq!(engine.self_test().unwrap(), Some(true), "{of}");
    let (before, after) = (&memory[..GUARD], &memory[GUARD + bytes..]);
    assert!(before.iter().chain(after).all(|&byte| byte == POISON), "{of}: a guard was written");
    bytes
}

#[test]
fn models_run_in_the_arena_that_they_state_and_in_no_less() {
    for file in ["mobilenet_v2_digits.onnx", "mobilevit_digits.onnx"] {
        let graph = network(file);
        for target in Target::ALL {
            let arena = |feed: Feed, optimize: Optimize| {
                let options = PlanOptions { feed, optimize, arena_limit: None };
                let (lowered, plan) = plan_for(&graph, target, &options);
                let packed = pack(&lowered.graph, &plan, Metadata::default()).unwrap();
                between_guards(&packed, &format!("{file} for {}, {feed:?}, {optimize:?}", target.name()))
            };
            let smallest = arena(Feed::Rows, Optimize::Memory);
            arena(Feed::Frame, Optimize::Memory);
            assert!(smallest < arena(Feed::Frame, Optimize::Speed), "{file} for {}", target.name());
        }
    }
}

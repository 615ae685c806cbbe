//! Random small networks, run whole and under every division into stages that is drawn: the same bytes.

mod maker;
mod networks;

use ocelli::{Engine, Model, RunError, operator};
use ocelli_format::{Metadata, Target};
use proptest::prelude::*;

use super::by_head::Split;
use super::by_sequence::by_sequence;
use super::schedule::{Stage, Way, events};
use super::steps::Network;
use super::{Flow, Plan, laid_out, plan};
use crate::graph::{Attention, Shape};
use crate::pack::{AlignedBytes, assemble};
use crate::quantized::{Operation, QuantizedGraph, UNBOUNDED};
use crate::targets::lower;
use maker::{Maker, Random, empty, network};

/// The network for a target in a form that is drawn: heads apart or not, attentions one sequence at a time or whole.
fn any_form(graph: &QuantizedGraph, target: Target, random: &mut Random) -> QuantizedGraph {
    let is_attention = |&node: &usize| matches!(graph.nodes[node].operation, Operation::Attention(_));
    let attentions = (0..graph.nodes.len()).filter(is_attention).filter(|_| random.below(3) > 0).collect();
    let lowered = lower(&Split::of(graph, &attentions, 2).graph, target);
    let unfolded = if random.below(3) > 0 { by_sequence(&lowered) } else { None };
    unfolded.unwrap_or(lowered).graph
}

/// A division into stages; where rows cannot flow through what was drawn, its steps stand alone.
fn division(network: &Network, flow: &Flow, random: &mut Random) -> Vec<Stage> {
    let mut stages = Vec::new();
    let mut start = 0;
    while start < network.steps.len() {
        let end = (start + 1 + random.below(6)).min(network.steps.len());
        let streamed = end > start + 1 || random.below(2) == 0;
        let stage = Stage { steps: start..end, streamed };
        let arrivals = start == 0 && flow.by_rows;
        if events(network, &stage, arrivals, &flow.ways).is_some() {
            stages.push(stage);
        } else {
            stages.extend((start..end).map(|step| Stage { steps: step..step + 1, streamed: false }));
        }
        start = end;
    }
    stages
}

/// Runs a plan between poisoned guards, in the ways there are, and after every misuse.
fn run(graph: &QuantizedGraph, plan: &Plan, input: &[i8]) -> Vec<i8> {
    const GUARD: usize = 64;
    let file = AlignedBytes::new(&assemble(graph, plan, &Metadata::default()).expect("it packs"));
    let model = Model::open(file.bytes()).expect("it opens");
    assert_eq!(model.arena_bytes(), plan.arena_bytes);
    let mut memory = vec![0xa5; plan.arena_bytes + 2 * GUARD];
    let short = &mut memory[GUARD..GUARD + plan.arena_bytes - 1];
    assert!(Engine::<{ operator::ALL }>::new(model, short).is_err(), "a byte less than stated");
    let mut outputs = Vec::new();
    {
        let arena = &mut memory[GUARD..GUARD + plan.arena_bytes];
        let mut engine = Engine::<{ operator::ALL }>::new(model, arena).expect("it starts");
        let (height, length) = (usize::from(model.input().height), model.input().row_len());
        outputs.push(engine.run(input).expect("it runs").to_vec());

        assert_eq!(engine.finish().err(), Some(RunError::MissingRows { expected: height, found: 0 }));
        engine.push_row(&input[..length]).expect("a row");
        assert_eq!(
            engine.push_row(&input[1..length]).err(),
            Some(RunError::RowLength { expected: length, found: length - 1 })
        );
        if height > 1 {
            let missing = RunError::MissingRows { expected: height, found: 1 };
            assert_eq!(engine.finish().err(), Some(missing));
        } else {
            engine.restart();
        }
        for row in input.chunks_exact(length) {
            engine.push_row(row).expect("a row");
        }
        assert_eq!(engine.push_row(&input[..length]).err(), Some(RunError::TooManyRows { expected: height }));
        outputs.push(engine.finish().expect("all rows came").to_vec());

        let resident = engine.input_mut();
        if !resident.is_empty() {
            resident.copy_from_slice(input);
            outputs.push(engine.invoke().expect("it runs").to_vec());
        }
        let unfit = engine.run(&input[1..]).err();
        assert_eq!(unfit, Some(RunError::InputLength { expected: input.len(), found: input.len() - 1 }));
        outputs.push(engine.run(input).expect("it runs again").to_vec());
    }
    assert!(outputs.iter().all(|output| *output == outputs[0]), "ways to run differ");
    let (before, after) = (&memory[..GUARD], &memory[GUARD + plan.arena_bytes..]);
    assert!(before.iter().chain(after).all(|&byte| byte == 0xa5), "a guard was written");
    outputs.swap_remove(0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rows_give_the_bytes_of_whole_maps(seed in any::<u32>(), by_rows: bool) {
        let graph = network(seed);
        let mut random = Random(seed.wrapping_mul(7919) | 1);
        let input: Vec<i8> = (0..graph.tensor(graph.input).shape.len()).map(|_| random.byte()).collect();
        let expected = run(&graph, &plan(&graph), &input);
        let graph = any_form(&graph, Target::Portable, &mut random);
        let of = Network::of(&graph);
        let flow = Flow { by_rows, ways: vec![Way::default(); of.steps.len()] };
        let stages = division(&of, &flow, &mut random);
        let streamed = laid_out(&graph, &of, &stages, &flow).expect("rows flow through these stages");
        prop_assert!(streamed.peak_bytes + 2 * streamed.counters <= streamed.arena_bytes);
        prop_assert_eq!(run(&graph, &streamed, &input), expected);
    }

    #[test]
    fn all_targets_give_the_bytes_of_whole_maps(seed in any::<u32>(), by_rows: bool) {
        let graph = network(seed);
        let mut random = Random(seed.wrapping_mul(15_485_863) | 1);
        let input: Vec<i8> = (0..graph.tensor(graph.input).shape.len()).map(|_| random.byte()).collect();
        let expected = run(&graph, &plan(&graph), &input);
        let target = Target::ALL[random.below(Target::ALL.len())];
        let lowered = any_form(&graph, target, &mut random);
        let of = Network::of(&lowered);
        // Each step alone or together, in as much memory as any.
        let way = |step: &super::steps::Step| Way {
            waits: of.at_once > 1 && random.below(2) == 0,
            scratch: random.below(step.scratch.len().max(1)),
        };
        let flow = Flow { by_rows, ways: of.steps.iter().map(way).collect() };
        let stages = division(&of, &flow, &mut random);
        let streamed = laid_out(&lowered, &of, &stages, &flow).expect("rows flow through these stages");
        prop_assert_eq!(run(&lowered, &streamed, &input), expected);
    }

    #[test]
    fn the_smallest_plan_gives_the_same_bytes(seed in any::<u32>(), by_rows: bool) {
        let graph = network(seed);
        let mut random = Random(seed.wrapping_mul(104_729) | 1);
        let input: Vec<i8> = (0..graph.tensor(graph.input).shape.len()).map(|_| random.byte()).collect();
        let whole = plan(&graph);
        let feed = if by_rows { ocelli::Feed::Rows } else { ocelli::Feed::Frame };
        let options = super::PlanOptions { feed, optimize: super::Optimize::Memory, arena_limit: None };
        let (lowered, smallest) = super::plan_for(&graph, Target::Portable, &options);
        prop_assert_eq!(run(&lowered.graph, &smallest, &input), run(&graph, &whole, &input));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_limit_gives_the_same_bytes(seed in any::<u32>(), by_rows: bool, part in 0..5usize) {
        let graph = network(seed);
        let mut random = Random(seed.wrapping_mul(86_028_121) | 1);
        let input: Vec<i8> = (0..graph.tensor(graph.input).shape.len()).map(|_| random.byte()).collect();
        let expected = run(&graph, &plan(&graph), &input);
        let target = Target::ALL[random.below(Target::ALL.len())];
        let feed = if by_rows { ocelli::Feed::Rows } else { ocelli::Feed::Frame };
        let options = |arena_limit| super::PlanOptions { feed, optimize: super::Optimize::Memory, arena_limit };
        let arena = |limit| super::plan_for(&graph, target, &options(limit)).1.arena_bytes;
        let [least, most] = [arena(Some(1)), plan(&lower(&graph, target).graph).arena_bytes];
        let limit = least + (most.saturating_sub(least)) * part / 4;
        let (lowered, limited) = super::plan_for(&graph, target, &options(Some(limit)));
        prop_assert!(limited.arena_bytes <= limit, "{} bytes, {} allowed", limited.arena_bytes, limit);
        prop_assert_eq!(run(&lowered.graph, &limited, &input), expected);
    }
}

/// Beside a map of four sequences there are the keys and values of one, whatever follows.
#[test]
fn a_bridge_holds_one_sequence() {
    let mut maker = Maker { graph: empty(), random: Random(5) };
    let (shape, heads) = (Shape::new(32, 32, 8), 4);
    let mut map = maker.tensor(Shape { channels: 1, ..shape });
    maker.graph.input = map;
    map = maker.pointwise(map, 8);
    for _ in 0..2 {
        let norm = maker.table(map);
        let [query, key, value] = [(); 3].map(|()| maker.pointwise(norm, 8));
        let attention = Attention { patch: [2, 2], key_patch: [2, 2], ..Attention::of_heads(heads, 0.001) };
        let attended = maker.node(Operation::Attention(attention), &[query, key, value], shape);
        let projected = maker.pointwise(attended, 8);
        map = maker.node(Operation::Add(UNBOUNDED), &[map, projected], shape);
    }
    let options =
        super::PlanOptions { feed: ocelli::Feed::Rows, optimize: super::Optimize::Memory, arena_limit: None };
    let whole = super::plan_with(&maker.graph, &options).arena_bytes;
    let (made, of_sequences) = super::plan_for(&maker.graph, Target::Portable, &options);
    let (map, row, sequences) = (32 * 32 * 8, 32 * 8, 4);
    let at_least = map + 2 * map / sequences;
    assert!(whole > 3 * map, "{whole}");
    assert!(
        (at_least..at_least + 8 * row).contains(&of_sequences.arena_bytes),
        "{}",
        of_sequences.arena_bytes
    );
    let folds = made.graph.nodes.iter().filter(|node| matches!(node.operation, Operation::Fold { .. }));
    assert_eq!(folds.count(), 2);

    let input: Vec<i8> = (0..32 * 32).map(|_| maker.random.byte()).collect();
    assert_eq!(run(&made.graph, &of_sequences, &input), run(&maker.graph, &plan(&maker.graph), &input));
    let file =
        AlignedBytes::new(&assemble(&made.graph, &of_sequences, &Metadata::default()).expect("it packs"));
    let mut arena = vec![0; of_sequences.arena_bytes];
    let model = Model::open(file.bytes()).expect("it opens");
    let mut engine = Engine::<{ operator::ALL }>::new(model, &mut arena).expect("it starts");
    let mut folded = Vec::new();
    let observe = |_, step: &ocelli::Step<'_>, rows: std::ops::Range<usize>, values: &[i8]| {
        if step.operator == ocelli::Operator::Fold {
            assert_eq!(values.len(), if rows == (0..32) { shape.len() } else { 0 });
            folded = values.to_vec();
        }
    };
    let output = engine.run_observed(&input, observe).expect("it runs").to_vec();
    assert_eq!(folded, output, "the last map that is folded is the output");
}

//! The suite finds what kernels get wrong.

mod architectures;

use architectures::Copied;
use ocelli_kernel_cases::{Fault, Kind, Verdict, Workspace, check};
use ocelli_kernels::arch::{Arch, ConvShape, Parameters};
use ocelli_kernels::elementwise::Add;
use ocelli_kernels::{Map, Rule};
use zerocopy::FromZeros;

/// An architecture with one fault.
struct Wrong<const FAULT: u8>;

/// The bias is one too large.
const BIAS: u8 = 0;
/// Padding counts as 0 instead of the zero point.
const PADDING: u8 = 1;
/// A row is read from the slot that it has in a whole map.
const WHOLE_MAP: u8 = 2;
/// Scratch counts on what the last call left there.
const SCRATCH: u8 = 3;
/// Only the first row of a call is made.
const ONE_ROW: u8 = 4;
/// A call of several rows is refused.
const REFUSED: u8 = 5;

impl<const FAULT: u8> Arch for Wrong<FAULT> {
    fn conv_words<R: Rule>(shape: &ConvShape) -> Option<usize> {
        Copied::conv_words::<R>(shape)
    }

    fn pack_conv<R: Rule>(
        shape: &ConvShape,
        parameters: &Parameters<'_, R>,
        packed: &mut [u32],
    ) -> Option<()> {
        Copied::pack_conv(shape, parameters, packed)?;
        if FAULT == BIAS {
            packed[0] = packed[0].wrapping_add(1);
        }
        Some(())
    }

    fn conv_scratch<R: Rule>(_: &ConvShape) -> usize {
        1
    }

    fn conv<R: Rule>(
        shape: &ConvShape,
        rule: &R,
        packed: &[u32],
        input: &Map<'_>,
        y: usize,
        output: &mut [i8],
        scratch: &mut [i8],
    ) -> Option<()> {
        let mut input = *input;
        match FAULT {
            PADDING => input.zero_point = 0,
            WHOLE_MAP => {
                let rows = input.data.len() / (input.width * input.channels);
                input.slots = input.height.max(rows);
            }
            SCRATCH if scratch[0] & 7 != 0 => {
                scratch[0] = 0;
                return Some(());
            }
            _ => {}
        }
        let row = shape.output[1] * shape.output[2];
        match FAULT {
            ONE_ROW => Copied::conv(shape, rule, packed, &input, y, &mut output[..row], &mut []),
            REFUSED if output.len() > row => None,
            _ => Copied::conv(shape, rule, packed, &input, y, output, &mut []),
        }
    }

    fn add(add: &Add, data: &mut [i8], other: &[i8]) -> Option<()> {
        // Rounds down.
        let bias = add.bias.wrapping_sub((1 << add.shift) >> 1);
        Add { bias, ..*add }.apply(data, other)
    }
}

/// The kinds of faults in 300 cases.
fn faults<A: Arch>(kind: Kind) -> Vec<Fault> {
    let mut workspace = Workspace::new_box_zeroed().expect("memory");
    (0..300)
        .filter_map(|seed| check::<A>(kind, seed, &mut workspace).err())
        .map(|found| found.fault)
        .collect()
}

fn differs<A: Arch>(kind: Kind) {
    let found = faults::<A>(kind);
    assert!(found.iter().any(|fault| matches!(fault, Fault::Byte { .. })), "{found:?}");
}

#[test]
fn a_bias_that_is_off_by_one() {
    differs::<Wrong<BIAS>>(Kind::ConvQ32);
    differs::<Wrong<BIAS>>(Kind::ConvTfLite);
}

#[test]
fn padding_with_another_value() {
    differs::<Wrong<PADDING>>(Kind::ConvQ32);
}

#[test]
fn rows_at_the_wrong_place() {
    let found = faults::<Wrong<WHOLE_MAP>>(Kind::ConvQ32);
    assert!(found.contains(&Fault::Refused), "a ring ends before the row: {found:?}");
}

#[test]
fn scratch_that_is_taken_for_what_it_was() {
    differs::<Wrong<SCRATCH>>(Kind::ConvTfLite);
}

#[test]
fn rows_that_are_not_made() {
    differs::<Wrong<ONE_ROW>>(Kind::ConvQ32);
    assert!(faults::<Wrong<REFUSED>>(Kind::ConvQ32).contains(&Fault::Refused));
}

#[test]
fn an_add_that_rounds_down() {
    differs::<Wrong<BIAS>>(Kind::Add);
}

/// Differences have the seed that shows them again.
#[test]
fn a_case_can_be_run_alone() {
    let mut workspace = Workspace::new_box_zeroed().expect("memory");
    let mut found =
        (0..300).filter_map(|seed| check::<Wrong<BIAS>>(Kind::ConvQ32, seed, &mut workspace).err());
    let first = found.next().expect("a difference");
    drop(found);
    let again =
        check::<Wrong<BIAS>>(first.kind, first.seed, &mut workspace).expect_err("the same difference");
    assert_eq!(format!("{again}"), format!("{first}"));
    assert!(format!("{first}").starts_with(&format!("conv_q32 --seed {} --cases 1: ", first.seed)));
    let right = check::<Copied>(first.kind, first.seed, &mut workspace).expect("no difference");
    assert_eq!(right, Verdict::Equal);
}

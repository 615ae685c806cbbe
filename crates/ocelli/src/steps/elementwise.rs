//! Steps that update single elements, in place or on a copy of their first input.

use core::marker::PhantomData;
use core::ops::Range;

use ocelli_format::operator::{
    AddQ32Record, AddTfLiteRecord, ChannelTablesRecord, MulQ32Record, MulTfLiteRecord, PReluQ32Record,
    PReluTfLiteRecord, TableRecord,
};
use ocelli_format::{Model, Step, TensorInfo};
use ocelli_kernels::arch::Arch;
use ocelli_kernels::{Q32, Q32Channel, TfLite, TfLiteChannel, elementwise};

use super::{Bound, Rule, in_place};
use crate::Problem;
use crate::memory::{Operands, parameters};

/// The operands of an operation of two tensors.
struct Pair<'m> {
    inputs: [&'m TensorInfo; 2],
    output: &'m TensorInfo,
}

impl<'m> Pair<'m> {
    fn bind(model: &Model<'m>, step: &Step<'m>) -> Result<Self, Problem> {
        let (inputs, output) = in_place::<2>(model, step)?;
        let second = inputs[1].len();
        if second != output.len() && second != usize::from(output.channels) && second != 1 {
            return Err(Problem::SecondInput);
        }
        Ok(Self { inputs, output })
    }

    fn zero_points(&self) -> [i32; 2] {
        self.inputs.map(|input| i32::from(input.zero_point))
    }

    /// Brings the first input's rows into the output's place, then calls `apply` with rows and the second operand's values.
    fn rows(
        &self,
        model: &Model<'m>,
        arena: &mut [i8],
        range: Range<usize>,
        apply: impl Fn(&mut [i8], &[i8]) -> Option<()>,
    ) -> Option<()> {
        let [input, other] = self.inputs;
        let mut operands = Operands::split(model, arena, self.output, &range, None)?;
        bring(&mut operands, [input, self.output], &range)?;
        let all = range.len() == usize::from(self.output.height);
        if other.len() != self.output.len() || (all && other.is_whole()) {
            let (other, data) = operands.values_and_output(other)?;
            return apply(data, other);
        }
        let length = self.output.row_len();
        if length == 0 || other.height != self.output.height {
            return None;
        }
        let (other, data) = operands.map_and_output(other, range.start)?;
        for (y, data) in range.zip(data.chunks_exact_mut(length)) {
            apply(data, other.row(y)?)?;
        }
        Some(())
    }
}

/// Copies rows of the input to where the output's rows are, unless they are there.
fn bring(operands: &mut Operands<'_>, [input, output]: [&TensorInfo; 2], range: &Range<usize>) -> Option<()> {
    if input.constant == 0 && input.offset == output.offset {
        return Some(());
    }
    if range.len() == usize::from(output.height) && input.is_whole() {
        let (values, data) = operands.values_and_output(input)?;
        return copy(data, values);
    }
    let length = output.row_len();
    if length == 0 || input.height != output.height {
        return None;
    }
    let (map, data) = operands.map_and_output(input, range.start)?;
    for (y, data) in range.clone().zip(data.chunks_exact_mut(length)) {
        copy(data, map.row(y)?)?;
    }
    Some(())
}

/// `copy_from_slice` without its panic.
fn copy(to: &mut [i8], from: &[i8]) -> Option<()> {
    if to.len() != from.len() {
        return None;
    }
    for (to, &from) in to.iter_mut().zip(from) {
        *to = from;
    }
    Some(())
}

/// Calls `apply` with rows of a single input brought into the output's place.
pub(super) fn update(
    model: &Model<'_>,
    arena: &mut [i8],
    tensors: [&TensorInfo; 2],
    range: Range<usize>,
    apply: impl Fn(&mut [i8]) -> Option<()>,
) -> Option<()> {
    let mut operands = Operands::split(model, arena, tensors[1], &range, None)?;
    bring(&mut operands, tensors, &range)?;
    apply(operands.output)
}

pub(crate) struct AddQ32<'m, A: Arch> {
    arch: PhantomData<A>,
    pair: Pair<'m>,
    kernel: elementwise::Add,
}

impl<'m, A: Arch> Bound<'m> for AddQ32<'m, A> {
    const IN_PLACE: bool = true;

    fn bind(model: &Model<'m>, step: &Step<'m>) -> Result<Self, Problem> {
        let record: &AddQ32Record = step.record().ok_or(Problem::Parameters)?;
        let &AddQ32Record { multipliers, bias, shift } = record;
        Ok(Self {
            arch: PhantomData,
            pair: Pair::bind(model, step)?,
            kernel: elementwise::Add { multipliers, bias, shift },
        })
    }

    fn rows(&self, model: &Model<'m>, arena: &mut [i8], range: Range<usize>) -> Option<()> {
        self.pair.rows(model, arena, range, |data, other| A::add(&self.kernel, data, other))
    }
}

pub(crate) struct AddTfLite<'m, A: Arch> {
    arch: PhantomData<A>,
    pair: Pair<'m>,
    kernel: elementwise::AddTfLite,
}

impl<'m, A: Arch> Bound<'m> for AddTfLite<'m, A> {
    const IN_PLACE: bool = true;

    fn bind(model: &Model<'m>, step: &Step<'m>) -> Result<Self, Problem> {
        let pair = Pair::bind(model, step)?;
        let &AddTfLiteRecord { operands, output, min, max, .. } = step.record().ok_or(Problem::Parameters)?;
        let rule = TfLite::new(pair.output, min, max);
        let kernel = elementwise::AddTfLite { zero_points: pair.zero_points(), operands, output, rule };
        Ok(Self { arch: PhantomData, pair, kernel })
    }

    fn rows(&self, model: &Model<'m>, arena: &mut [i8], range: Range<usize>) -> Option<()> {
        self.pair.rows(model, arena, range, |data, other| A::add_tflite(&self.kernel, data, other))
    }
}

pub(crate) struct MulQ32<'m, A: Arch> {
    arch: PhantomData<A>,
    pair: Pair<'m>,
    channel: &'m Q32Channel,
}

impl<'m, A: Arch> Bound<'m> for MulQ32<'m, A> {
    const IN_PLACE: bool = true;

    fn bind(model: &Model<'m>, step: &Step<'m>) -> Result<Self, Problem> {
        let record: &MulQ32Record = step.record().ok_or(Problem::Parameters)?;
        Ok(Self { arch: PhantomData, pair: Pair::bind(model, step)?, channel: &record.channel })
    }

    fn rows(&self, model: &Model<'m>, arena: &mut [i8], range: Range<usize>) -> Option<()> {
        let kernel =
            elementwise::Mul { zero_points: self.pair.zero_points(), rule: Q32, channel: self.channel };
        self.pair.rows(model, arena, range, |data, other| A::mul(&kernel, data, other))
    }
}

pub(crate) struct MulTfLite<'m, A: Arch> {
    arch: PhantomData<A>,
    pair: Pair<'m>,
    record: &'m MulTfLiteRecord,
}

impl<'m, A: Arch> Bound<'m> for MulTfLite<'m, A> {
    const IN_PLACE: bool = true;

    fn bind(model: &Model<'m>, step: &Step<'m>) -> Result<Self, Problem> {
        Ok(Self {
            arch: PhantomData,
            pair: Pair::bind(model, step)?,
            record: step.record().ok_or(Problem::Parameters)?,
        })
    }

    fn rows(&self, model: &Model<'m>, arena: &mut [i8], range: Range<usize>) -> Option<()> {
        let rule = TfLite::new(self.pair.output, self.record.min, self.record.max);
        let channel: &TfLiteChannel = &self.record.channel;
        let kernel = elementwise::Mul { zero_points: self.pair.zero_points(), rule, channel };
        self.pair.rows(model, arena, range, |data, other| A::mul(&kernel, data, other))
    }
}

/// Defines the PReLU of a rule, which the rules' records keep alike.
macro_rules! prelu {
    ($name:ident, $record:ty, $rule:ty, $shift:expr) => {
        pub(crate) struct $name<'m> {
            tensors: [&'m TensorInfo; 2],
            kernel: elementwise::PRelu<'m, $rule>,
        }

        impl<'m> Bound<'m> for $name<'m> {
            const IN_PLACE: bool = true;

            fn bind(model: &Model<'m>, step: &Step<'m>) -> Result<Self, Problem> {
                let ([input], output) = in_place::<1>(model, step)?;
                let record: &'m $record = step.record().ok_or(Problem::Parameters)?;
                let [positive, negative] = &record.halves;
                let kernel = elementwise::PRelu {
                    zero_point: i32::from(input.zero_point),
                    slope_zero_point: record.slope_zero_point,
                    shift: $shift,
                    rule: <$rule>::new(output, i8::MIN, i8::MAX),
                    halves: [positive, negative],
                    slopes: parameters(model, record.slopes, usize::from(output.channels))?,
                };
                Ok(Self { tensors: [input, output], kernel })
            }

            fn rows(&self, model: &Model<'m>, arena: &mut [i8], range: Range<usize>) -> Option<()> {
                update(model, arena, self.tensors, range, |data| self.kernel.apply(data))
            }
        }
    };
}

prelu!(PReluQ32, PReluQ32Record, Q32, 8);
prelu!(PReluTfLite, PReluTfLiteRecord, TfLite, 0);

pub(crate) struct Table<'m, A: Arch> {
    arch: PhantomData<A>,
    tensors: [&'m TensorInfo; 2],
    table: &'m [i8; 256],
}

impl<'m, A: Arch> Bound<'m> for Table<'m, A> {
    const IN_PLACE: bool = true;

    fn bind(model: &Model<'m>, step: &Step<'m>) -> Result<Self, Problem> {
        let ([input], output) = in_place::<1>(model, step)?;
        let record: &TableRecord = step.record().ok_or(Problem::Parameters)?;
        let table = parameters(model, record.table, 1)?.first().ok_or(Problem::Parameters)?;
        Ok(Self { arch: PhantomData, tensors: [input, output], table })
    }

    fn rows(&self, model: &Model<'m>, arena: &mut [i8], range: Range<usize>) -> Option<()> {
        update(model, arena, self.tensors, range, |data| {
            A::table(data, self.table);
            Some(())
        })
    }
}

pub(crate) struct ChannelTables<'m> {
    tensors: [&'m TensorInfo; 2],
    tables: &'m [[i8; 256]],
    channels: &'m [u8],
}

impl<'m> Bound<'m> for ChannelTables<'m> {
    const IN_PLACE: bool = true;

    fn bind(model: &Model<'m>, step: &Step<'m>) -> Result<Self, Problem> {
        let ([input], output) = in_place::<1>(model, step)?;
        let record: &ChannelTablesRecord = step.record().ok_or(Problem::Parameters)?;
        let channels: &[u8] = parameters(model, record.channels, usize::from(output.channels))?;
        let count = channels.iter().max().map_or(0, |&last| usize::from(last) + 1);
        let tables = parameters(model, record.tables, count)?;
        Ok(Self { tensors: [input, output], tables, channels })
    }

    fn rows(&self, model: &Model<'m>, arena: &mut [i8], range: Range<usize>) -> Option<()> {
        update(model, arena, self.tensors, range, |data| {
            elementwise::channel_tables(data, self.tables, self.channels)
        })
    }
}

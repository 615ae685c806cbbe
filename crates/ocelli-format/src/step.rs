//! Steps of a packed model.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::Operator;

/// The start of a step; `u16` indices of the inputs follow (an even number of them, the last a repetition if need be), then the record of
/// the operator.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct StepHeader {
    /// An [`Operator`].
    pub operator: u16,
    /// Length of the whole step, a multiple of 4.
    pub bytes: u16,
    /// Tensor index of the output.
    pub output: u16,
    /// Number of inputs.
    pub inputs: u8,
    /// [`Step::CONTINUES`], [`Step::ALONE`].
    pub flags: u8,
}

/// One operation: tensors and parameters.
#[derive(Clone, Copy, Debug)]
pub struct Step<'m> {
    /// What it computes.
    pub operator: Operator,
    /// Tensor indices of the inputs.
    pub inputs: &'m [u16],
    /// Tensor index of the output.
    pub output: u16,
    /// [`Step::CONTINUES`], [`Step::ALONE`].
    pub flags: u8,
    record: &'m [u8],
}

impl<'m> Step<'m> {
    /// The flag of a step that belongs to the stage of the step before it; others start a stage.
    pub const CONTINUES: u8 = 1;
    /// The flag of a step through whose output alone later steps of its stage see what the steps before it make: where it made nothing new,
    /// neither can they.
    pub const ALONE: u8 = 2;
    /// The flag of a step that makes as many rows at once as the target's kernels like best, and waits until it can; others make one row at a
    /// time.
    pub const TOGETHER: u8 = 4;

    /// The operator's parameters; `None` where the step has another length than they take.
    #[inline]
    pub fn record<T: FromBytes + KnownLayout + Immutable>(&self) -> Option<&'m T> {
        T::ref_from_bytes(self.record).ok()
    }

    /// What the operator's parameters start with.
    #[inline]
    pub(crate) fn record_start<T: FromBytes + KnownLayout + Immutable>(&self) -> Option<&'m T> {
        T::ref_from_prefix(self.record).ok().map(|(start, _)| start)
    }

    /// The step at the start of `bytes` and the bytes after it.
    fn split(bytes: &'m [u8]) -> Option<(Self, &'m [u8])> {
        let (header, _) = StepHeader::ref_from_prefix(bytes).ok()?;
        if header.bytes & 3 != 0 {
            return None;
        }
        let (step, rest) = bytes.split_at_checked(usize::from(header.bytes))?;
        let body = step.get(size_of::<StepHeader>()..)?;
        let inputs = usize::from(header.inputs);
        let (indices, record) = <[u16]>::ref_from_prefix_with_elems(body, inputs.next_multiple_of(2)).ok()?;
        let operator = Operator::from_code(header.operator)?;
        Some((
            Self {
                operator,
                inputs: indices.get(..inputs)?,
                output: header.output,
                flags: header.flags,
                record,
            },
            rest,
        ))
    }
}

/// The steps of a model in execution order; stops at the first that is not well formed.
#[derive(Clone, Copy, Debug)]
pub struct Steps<'m> {
    pub(crate) rest: &'m [u8],
}

impl Steps<'_> {
    /// Whether every step was read.
    pub(crate) fn is_finished(&self) -> bool {
        self.rest.is_empty()
    }
}

impl<'m> Iterator for Steps<'m> {
    type Item = Step<'m>;

    #[inline]
    fn next(&mut self) -> Option<Step<'m>> {
        let (step, rest) = Step::split(self.rest)?;
        self.rest = rest;
        Some(step)
    }
}

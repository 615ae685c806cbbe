//! Making packed models.

use alloc::string::String;
use alloc::vec::Vec;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::checksum::checksum;
use crate::header::{ALIGNMENT, Feed, Header, MAGIC, Numerics, Span, Target, VERSION};
use crate::step::StepHeader;
use crate::{Operator, TensorInfo, operator};

/// Collects tensors, weights and steps, then writes the file.
#[derive(Clone, Debug, Default)]
pub struct ModelWriter {
    tensors: Vec<TensorInfo>,
    steps: Vec<u8>,
    weights: Vec<u8>,
    operators: u64,
    /// Where the last step starts.
    last_step: usize,
}

/// Memory and order of execution.
#[derive(Clone, Copy, Debug, Default)]
pub struct Execution {
    /// Bytes of the arena, counters included.
    pub arena_bytes: u32,
    /// Number of counters of rows.
    pub counters: u16,
    /// How the input arrives.
    pub feed: Feed,
}

/// What the file says beside the network.
#[derive(Clone, Debug, Default)]
pub struct Metadata {
    /// The network's name: one line.
    pub name: String,
    /// Names of the classes, a line each.
    pub labels: Vec<String>,
    /// How a picture's bytes become the input's.
    pub preprocessing: Option<PreprocessingTables>,
    /// Seed and output of the self-test.
    pub self_test: Option<(u32, Vec<i8>)>,
    /// Multiply-accumulate operations an inference.
    pub macs: u32,
}

/// The input value of each byte value of a picture.
#[derive(Clone, Debug)]
pub struct PreprocessingTables {
    /// Whether the network's channels are blue, green, red instead of red, green, blue.
    pub bgr: bool,
    /// One for all channels, or one a channel of the input.
    pub tables: Vec<[i8; 256]>,
}

impl ModelWriter {
    /// Adds a tensor and gives its index.
    pub fn tensor(&mut self, tensor: TensorInfo) -> u16 {
        self.tensors.push(tensor);
        (self.tensors.len() - 1) as u16
    }

    /// Adds data to the weights at a multiple of 4 and gives its offset.
    pub fn weights<T: IntoBytes + Immutable + ?Sized>(&mut self, data: &T) -> u32 {
        self.weights.resize(self.weights.len().next_multiple_of(4), 0);
        let offset = self.weights.len();
        self.weights.extend_from_slice(data.as_bytes());
        offset as u32
    }

    /// Adds parameters in a target's layout at a multiple of [`ALIGNMENT`] and gives their offset.
    pub fn packed(&mut self, words: &[u32]) -> u32 {
        self.weights.resize(self.weights.len().next_multiple_of(ALIGNMENT), 0);
        self.weights(words)
    }

    /// Adds a step.
    pub fn step<T: IntoBytes + Immutable>(
        &mut self,
        operator: Operator,
        inputs: &[u16],
        output: u16,
        record: &T,
    ) {
        let padded = inputs.len().next_multiple_of(2);
        let bytes = size_of::<StepHeader>() + 2 * padded + size_of::<T>();
        let header = StepHeader {
            operator: operator as u16,
            bytes: bytes as u16,
            output,
            inputs: inputs.len() as u8,
            flags: 0,
        };
        self.last_step = self.steps.len();
        self.operators |= operator.bit();
        self.steps.extend_from_slice(header.as_bytes());
        self.steps.extend_from_slice(inputs.as_bytes());
        if padded != inputs.len() {
            self.steps.extend_from_slice(inputs[inputs.len() - 1].as_bytes());
        }
        self.steps.extend_from_slice(record.as_bytes());
    }

    /// Says which of its target's [kernels](crate::operator::KERNELS) a packed step takes.
    pub fn kernels(&mut self, kernels: u64) {
        self.operators |= kernels & operator::KERNELS;
    }

    /// Sets the [flags](crate::Step::CONTINUES) of the last step, which are 0 without.
    pub fn flags(&mut self, flags: u8) {
        if let Some(place) = self.steps.get_mut(self.last_step + core::mem::offset_of!(StepHeader, flags)) {
            *place = flags;
        }
    }

    /// The file.
    pub fn finish(
        &self,
        target: Target,
        numerics: Numerics,
        execution: Execution,
        [input, output]: [u16; 2],
        metadata: &Metadata,
    ) -> Vec<u8> {
        let mut text = metadata.name.clone();
        for label in &metadata.labels {
            text.push('\n');
            text.push_str(label);
        }
        let mut preprocessing = Vec::new();
        if let Some(tables) = &metadata.preprocessing {
            preprocessing.extend_from_slice(&[u8::from(tables.bgr), 0, 0, 0]);
            tables.tables.iter().for_each(|table| preprocessing.extend_from_slice(table.as_bytes()));
        }
        let mut self_test = Vec::new();
        if let Some((seed, output)) = &metadata.self_test {
            self_test.extend_from_slice(&seed.to_le_bytes());
            self_test.extend_from_slice(output.as_bytes());
        }

        let mut file = alloc::vec![0; size_of::<Header>()];
        let mut section = |bytes: &[u8]| {
            file.resize(file.len().next_multiple_of(ALIGNMENT), 0);
            let offset = file.len() as u32;
            file.extend_from_slice(bytes);
            Span { offset, length: bytes.len() as u32 }
        };
        let mut header = Header {
            magic: MAGIC,
            version: VERSION,
            target: target as u8,
            numerics: numerics as u8,
            file_bytes: 0,
            checksum: 0,
            operators: self.operators,
            arena_bytes: execution.arena_bytes,
            macs: metadata.macs,
            tensors: section(self.tensors.as_bytes()),
            steps: section(&self.steps),
            weights: section(&self.weights),
            text: section(text.as_bytes()),
            preprocessing: section(&preprocessing),
            self_test: section(&self_test),
            input,
            output,
            counters: execution.counters,
            feed: execution.feed as u16,
            reserved: 0,
        };
        header.file_bytes = file.len() as u32;
        write_header(&mut file, &header);
        seal(&mut file);
        file
    }
}

fn write_header(file: &mut [u8], header: &Header) {
    file[..size_of::<Header>()].copy_from_slice(header.as_bytes());
}

/// Writes the checksum that `file` should have into it.
///
/// # Panics
/// If `file` is shorter than a header.
pub fn seal(file: &mut [u8]) {
    let checksum = checksum(file);
    let (mut header, _) = Header::read_from_prefix(file).expect("a packed model has a header");
    header.checksum = checksum;
    write_header(file, &header);
}

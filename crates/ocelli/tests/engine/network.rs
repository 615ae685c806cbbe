//! Small models, step by step; every tensor has its own place in the arena unless it shares another's.

use ocelli::{ALIGNMENT, Engine, EngineError, Model, Numerics, Target, operator};
use ocelli_format::{Execution, Metadata, ModelWriter, TensorInfo};

/// Height, width, channels.
pub type Shape = [u16; 3];

/// A model being made.
#[derive(Default)]
pub struct Network {
    pub writer: ModelWriter,
    tensors: Vec<TensorInfo>,
    arena: u32,
}

impl Network {
    /// A tensor after all others in the arena.
    pub fn tensor(&mut self, shape: Shape, scale: f32, zero_point: i8) -> u16 {
        let tensor = info(shape, scale, zero_point, self.arena);
        self.arena += tensor.len() as u32;
        self.add(tensor)
    }

    /// A tensor of the same shape in the place of another.
    pub fn in_place(&mut self, of: u16, scale: f32, zero_point: i8) -> u16 {
        let of = self.tensors[usize::from(of)];
        self.add(TensorInfo { scale, zero_point, ..of })
    }

    /// A tensor at an offset of the arena, which is not made larger.
    pub fn at(&mut self, shape: Shape, offset: u32) -> u16 {
        self.add(info(shape, 1.0, 0, offset))
    }

    /// A constant.
    pub fn constant(&mut self, shape: Shape, scale: f32, zero_point: i8, values: &[i8]) -> u16 {
        let offset = self.writer.weights(values);
        let tensor = TensorInfo { constant: 1, ..info(shape, scale, zero_point, offset) };
        assert_eq!(tensor.len(), values.len());
        self.add(tensor)
    }

    fn add(&mut self, tensor: TensorInfo) -> u16 {
        self.tensors.push(tensor);
        self.writer.tensor(tensor)
    }

    /// The file.
    pub fn file(&self, input: u16, output: u16, metadata: &Metadata) -> Vec<u8> {
        self.file_for(Target::Portable, input, output, metadata)
    }

    /// The file for a target.
    pub fn file_for(&self, target: Target, input: u16, output: u16, metadata: &Metadata) -> Vec<u8> {
        let execution = Execution { arena_bytes: self.arena, ..Execution::default() };
        self.writer.finish(target, Numerics::Q32, execution, [input, output], metadata)
    }

    /// The output for an input.
    pub fn run(&self, input: u16, output: u16, values: &[i8]) -> Vec<i8> {
        run(&self.file(input, output, &Metadata::default()), values).expect("the model fits together")
    }
}

fn info([height, width, channels]: Shape, scale: f32, zero_point: i8, offset: u32) -> TensorInfo {
    TensorInfo {
        offset,
        height,
        width,
        channels,
        slots: height,
        constant: 0,
        zero_point,
        counter: TensorInfo::COMPLETE,
        scale,
    }
}

/// A copy of bytes at an aligned place, which may be followed by more.
pub struct AlignedBytes {
    buffer: Vec<u8>,
    start: usize,
    length: usize,
}

impl AlignedBytes {
    pub fn new(bytes: &[u8]) -> Self {
        let mut buffer = vec![0; bytes.len() + ALIGNMENT];
        let start = buffer.as_ptr().align_offset(ALIGNMENT);
        buffer[start..start + bytes.len()].copy_from_slice(bytes);
        Self { buffer, start, length: bytes.len() }
    }

    pub fn get(&self) -> &[u8] {
        &self.buffer[self.start..self.start + self.length]
    }

    pub fn get_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[self.start..self.start + self.length]
    }
}

/// Runs a model that must open.
pub fn run(file: &[u8], input: &[i8]) -> Result<Vec<i8>, EngineError> {
    let bytes = AlignedBytes::new(file);
    let model = Model::open(bytes.get()).expect("a whole file");
    let mut arena = vec![0x7f; model.arena_bytes()];
    let mut engine = Engine::<{ operator::ALL }>::new(model, &mut arena)?;
    Ok(engine.run(input).expect("the input fits").to_vec())
}

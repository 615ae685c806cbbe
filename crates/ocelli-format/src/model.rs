//! A view of a packed model.

use zerocopy::FromBytes;

use crate::checksum::checksum;
use crate::header::{ALIGNMENT, Feed, Header, MAGIC, Numerics, Span, Target, VERSION};
use crate::{ModelError, Steps, TensorInfo, operator};

/// A packed model that was checked when it was opened: copying it copies a few references.
#[derive(Clone, Copy, Debug)]
pub struct Model<'m> {
    bytes: &'m [u8],
    header: &'m Header,
    tensors: &'m [TensorInfo],
    steps: &'m [u8],
    weights: &'m [u8],
}

impl<'m> Model<'m> {
    /// Checks `bytes` and makes a view of them. They must start at a multiple of [`ALIGNMENT`]; see [`Aligned`].
    ///
    /// # Errors
    /// [`ModelError`] says what is wrong. Whatever passes cannot make the engine panic or leave its memory.
    pub fn open(bytes: &'m [u8]) -> Result<Self, ModelError> {
        if bytes.as_ptr().addr() & (ALIGNMENT - 1) != 0 {
            return Err(ModelError::Misaligned);
        }
        if !bytes.starts_with(&MAGIC) {
            return Err(ModelError::Magic);
        }
        let too_short = ModelError::Length { expected: size_of::<Header>(), found: bytes.len() };
        let (header, _) = Header::ref_from_prefix(bytes).map_err(|_| too_short)?;
        if header.version != VERSION {
            return Err(ModelError::Version { found: header.version });
        }
        if header.file_bytes as usize != bytes.len() {
            return Err(ModelError::Length { expected: header.file_bytes as usize, found: bytes.len() });
        }
        if header.checksum != checksum(bytes) {
            return Err(ModelError::Checksum);
        }
        let bad = |field| ModelError::Header { field };
        let section = |span: Span, field| section(bytes, span).ok_or(bad(field));
        let model = Self {
            bytes,
            header,
            tensors: <[TensorInfo]>::ref_from_bytes(section(header.tensors, "tensors")?)
                .map_err(|_| bad("tensors"))?,
            steps: section(header.steps, "steps")?,
            weights: section(header.weights, "weights")?,
        };
        Target::from_code(header.target).ok_or(bad("target"))?;
        Numerics::from_code(header.numerics).ok_or(bad("numerics"))?;
        Feed::from_code(header.feed).ok_or(bad("feed"))?;
        section(header.text, "text")?;
        section(header.preprocessing, "preprocessing")?;
        section(header.self_test, "self_test")?;
        if model.header.arena_bytes > i32::MAX as u32 {
            return Err(bad("arena_bytes"));
        }
        if model.counters() > model.arena_bytes() / 2 {
            return Err(bad("counters"));
        }
        model.check_tensors()?;
        model.check_steps()?;
        if header.preprocessing.length != 0 && model.preprocessing().is_none() {
            return Err(bad("preprocessing"));
        }
        if header.self_test.length != 0 && model.self_test().is_none() {
            return Err(bad("self_test"));
        }
        Ok(model)
    }

    fn check_tensors(&self) -> Result<(), ModelError> {
        for (index, tensor) in self.tensors.iter().enumerate() {
            let (room, counted) = if tensor.constant == 0 {
                let counted = usize::from(tensor.counter) < self.counters();
                (self.map_bytes(), counted || tensor.counter == TensorInfo::COMPLETE)
            } else {
                (self.weights.len(), tensor.is_whole() && tensor.counter == TensorInfo::COMPLETE)
            };
            let fits = tensor.range().is_some_and(|range| range.end <= room);
            let slots = tensor.slots > 0 && tensor.slots <= tensor.height;
            let scale = tensor.scale > 0.0 && tensor.scale.is_finite();
            if !fits || !slots || !counted || !scale || tensor.is_empty() {
                return Err(ModelError::Tensor { index });
            }
        }
        for (index, field) in [(self.header.input, "input"), (self.header.output, "output")] {
            if self.tensor(index).is_none_or(|tensor| tensor.constant != 0) {
                return Err(ModelError::Header { field });
            }
        }
        if self.feed() == Feed::Frame && !self.input().is_whole() {
            return Err(ModelError::Header { field: "input" });
        }
        if !self.output().is_whole() {
            return Err(ModelError::Header { field: "output" });
        }
        Ok(())
    }

    fn check_steps(&self) -> Result<(), ModelError> {
        let mut steps = self.steps();
        let mut index = 0;
        for step in steps.by_ref() {
            let known = |tensor: u16| self.tensor(tensor).is_some();
            let writable = self.tensor(step.output).is_some_and(|tensor| tensor.constant == 0);
            if !writable || !step.inputs.iter().all(|&input| known(input)) {
                return Err(ModelError::Step { index });
            }
            if self.header.operators & step.operator.bit() == 0 {
                return Err(ModelError::Header { field: "operators" });
            }
            index += 1;
        }
        if steps.is_finished() { Ok(()) } else { Err(ModelError::Step { index }) }
    }

    /// Length of the file.
    pub fn file_bytes(&self) -> usize {
        self.header.file_bytes as usize
    }

    /// The file's checksum, which tells models apart.
    pub fn checksum(&self) -> u32 {
        self.header.checksum
    }

    /// Bytes that the arena must have.
    pub fn arena_bytes(&self) -> usize {
        self.header.arena_bytes as usize
    }

    /// Bytes of the arena that tensors lie in; the counters follow.
    #[inline]
    pub fn map_bytes(&self) -> usize {
        self.arena_bytes().saturating_sub(self.counters().saturating_mul(2))
    }

    /// Number of counters of rows, two bytes each at the end of the arena.
    #[inline]
    pub fn counters(&self) -> usize {
        usize::from(self.header.counters)
    }

    /// How the input arrives.
    pub fn feed(&self) -> Feed {
        Feed::from_code(self.header.feed).unwrap_or_default()
    }

    /// Bytes of weights, tables and per-channel parameters.
    pub fn weight_bytes(&self) -> usize {
        self.weights.len()
    }

    /// Multiply-accumulate operations an inference.
    pub fn macs(&self) -> u32 {
        self.header.macs
    }

    /// The [operators](crate::operator) and [kernels](crate::operator::KERNELS) in use, a bit each, and the target's [bit](Target::bit).
    pub fn operators(&self) -> u64 {
        operator::mask(self.header.operators) | self.target().bit()
    }

    /// Whose kernels run it.
    pub fn target(&self) -> Target {
        Target::from_code(self.header.target).unwrap_or(Target::Portable)
    }

    /// The rule by which accumulators become int8.
    pub fn numerics(&self) -> Numerics {
        Numerics::from_code(self.header.numerics).unwrap_or(Numerics::Q32)
    }

    /// The tensor of an index.
    #[inline]
    pub fn tensor(&self, index: u16) -> Option<&'m TensorInfo> {
        self.tensors.get(usize::from(index))
    }

    /// All tensors.
    pub fn tensors(&self) -> &'m [TensorInfo] {
        self.tensors
    }

    /// Shape, place and scale of the input.
    pub fn input(&self) -> &'m TensorInfo {
        self.tensor(self.header.input).unwrap_or(&NO_TENSOR)
    }

    /// Shape, place and scale of the output.
    pub fn output(&self) -> &'m TensorInfo {
        self.tensor(self.header.output).unwrap_or(&NO_TENSOR)
    }

    /// The steps in execution order.
    #[inline]
    pub fn steps(&self) -> Steps<'m> {
        Steps { rest: self.steps }
    }

    /// Weights, tables and per-channel parameters.
    #[inline]
    pub fn weights(&self) -> &'m [u8] {
        self.weights
    }

    /// The network's name.
    pub fn name(&self) -> &'m str {
        lines(self.section(self.header.text)).next().unwrap_or("")
    }

    /// Names of the classes, in the order of the output's channels; may be none.
    pub fn labels(&self) -> impl Iterator<Item = &'m str> + use<'m> {
        lines(self.section(self.header.text)).skip(1)
    }

    /// How a picture's bytes become the input's; `None` where the input is no picture.
    pub fn preprocessing(&self) -> Option<Preprocessing<'m>> {
        let (&[color, ..], tables) = self.section(self.header.preprocessing).split_at_checked(4)? else {
            return None;
        };
        let tables = <[[i8; 256]]>::ref_from_bytes(tables).ok()?;
        let matches = color <= 1 && (tables.len() == 1 || tables.len() == usize::from(self.input().channels));
        matches.then_some(Preprocessing { bgr: color == 1, tables })
    }

    /// What the model must answer to known input; `None` where the file holds no such vector.
    pub fn self_test(&self) -> Option<SelfTest<'m>> {
        let (seed, output) = u32::read_from_prefix(self.section(self.header.self_test)).ok()?;
        let output = <[i8]>::ref_from_bytes(output).ok()?;
        (output.len() == self.output().len()).then_some(SelfTest { seed, output })
    }

    /// A section that was found when the model was opened.
    fn section(&self, span: Span) -> &'m [u8] {
        section(self.bytes, span).unwrap_or_default()
    }
}

static NO_TENSOR: TensorInfo = TensorInfo {
    offset: 0,
    height: 0,
    width: 0,
    channels: 0,
    slots: 0,
    constant: 0,
    zero_point: 0,
    counter: TensorInfo::COMPLETE,
    scale: 1.0,
};

/// The lines of a text; a last empty line counts, and one that is not UTF-8 is empty.
fn lines(text: &[u8]) -> impl Iterator<Item = &str> {
    // An empty text is one empty line, and `split` on slices panics nowhere.
    text.split(|&byte| byte == b'\n').map(|line| core::str::from_utf8(line).unwrap_or_default())
}

fn section(bytes: &[u8], span: Span) -> Option<&[u8]> {
    let start = span.offset as usize;
    if start & (ALIGNMENT - 1) != 0 {
        return None;
    }
    bytes.get(start..start.checked_add(span.length as usize)?)
}

/// From a picture's bytes to the input's.
#[derive(Clone, Copy, Debug)]
pub struct Preprocessing<'m> {
    /// Whether the network's channels are blue, green, red instead of red, green, blue.
    pub bgr: bool,
    tables: &'m [[i8; 256]],
}

impl<'m> Preprocessing<'m> {
    /// The input value of each byte value, for a channel of the input.
    pub fn table(&self, channel: usize) -> Option<&'m [i8; 256]> {
        self.tables.get(if self.tables.len() == 1 { 0 } else { channel })
    }
}

/// An output that the model must give to the input `test_bytes(seed)`.
#[derive(Clone, Copy, Debug)]
pub struct SelfTest<'m> {
    /// Seed of [`test_bytes`](crate::test_bytes).
    pub seed: u32,
    /// The output.
    pub output: &'m [i8],
}

/// Bytes at a multiple of [`ALIGNMENT`].
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub struct Aligned<T: ?Sized>(pub T);

/// A model that is part of the program; [`include_model!`](crate::include_model) makes it.
#[derive(Clone, Copy, Debug)]
pub struct IncludedModel {
    bytes: &'static [u8],
}

impl IncludedModel {
    /// Checks the start of the file; in a constant, a wrong file is an error of compilation.
    ///
    /// # Panics
    /// If the bytes are not a packed model of this version, or were cut.
    pub const fn new(bytes: &'static [u8]) -> Self {
        assert!(bytes.len() > size_of::<Header>(), "not a packed model: too short");
        let mut index = 0;
        while index < MAGIC.len() {
            assert!(bytes[index] == MAGIC[index], "not a packed model");
            index += 1;
        }
        assert!(
            u16::from_le_bytes([bytes[8], bytes[9]]) == VERSION,
            "the packed model has a format version that this library does not read"
        );
        let included = Self { bytes };
        assert!(included.word(12) as usize == bytes.len(), "the packed model was cut");
        included
    }

    /// Bytes that the arena must have.
    pub const fn arena_bytes(&self) -> usize {
        self.word(Header::ARENA_BYTES) as usize
    }

    /// The [operators](crate::operator) and [kernels](crate::operator::KERNELS) in use, a bit each, and the target's [bit](Target::bit).
    pub const fn operators(&self) -> u64 {
        let operators = self.word(Header::OPERATORS) as u64 | (self.word(Header::OPERATORS + 4) as u64) << 32;
        match Target::from_code(self.bytes[Header::TARGET]) {
            Some(target) => operator::mask(operators) | target.bit(),
            None => operator::mask(operators),
        }
    }

    /// Length of the file.
    pub const fn file_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Checks the whole file and makes a view of it.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn open(&self) -> Result<Model<'static>, ModelError> {
        Model::open(self.bytes)
    }

    const fn word(&self, at: usize) -> u32 {
        u32::from_le_bytes([self.bytes[at], self.bytes[at + 1], self.bytes[at + 2], self.bytes[at + 3]])
    }
}

/// Makes the packed model of a file part of the program, aligned as it must be: an [`IncludedModel`](crate::IncludedModel) for a `const`.
#[macro_export]
macro_rules! include_model {
    ($path:expr $(,)?) => {{
        const BYTES: &$crate::Aligned<[u8]> = &$crate::Aligned(*include_bytes!($path));
        $crate::IncludedModel::new(&BYTES.0)
    }};
}

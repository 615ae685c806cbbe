//! Writing and opening packed models: what goes in comes out, and each field without a meaning is refused by name.

use ocelli_format::operator::{
    AddQ32Record, AddTfLiteRecord, AttentionQ32Record, AveragePoolQ32Record, ConcatRecord, ConvRecord,
    MatMulQ32Record, MeanTfLiteRecord, MulQ32Record, MulTfLiteRecord, NormQ32Record, PReluQ32Record,
    PReluTfLiteRecord, PackedConvRecord, PackedSeparableConvRecord, PadRecord, PoolRecord,
    SeparableAttentionQ32Record, SliceRecord, SoftmaxTfLiteRecord, TableRecord, TransposeRecord,
    attention_scratch_bytes, separable_attention_scratch_bytes,
};
use ocelli_format::{
    ALIGNMENT, Execution, Metadata, Model, ModelError, ModelWriter, Numerics, Operator, PreprocessingTables,
    Target, TensorInfo, operator, seal,
};
use proptest::collection::vec;
use proptest::prelude::*;

const GOLDEN: &[u8] = include_bytes!("golden/v2.ocelli");

/// Offsets of fields of the header.
const TARGET: usize = 10;
const NUMERICS: usize = 11;
const ARENA_BYTES: usize = 20;
const OPERATORS: usize = 24;
const SPANS: [(&str, usize); 6] =
    [("tensors", 36), ("steps", 44), ("weights", 52), ("text", 60), ("preprocessing", 68), ("self_test", 76)];
const INPUT: usize = 84;
const OUTPUT: usize = 86;

/// Opens an aligned copy of a file; `check` sees the model or the refusal.
fn open<T>(file: &[u8], check: impl FnOnce(Result<Model<'_>, ModelError>) -> T) -> T {
    let mut buffer = vec![0; file.len() + ALIGNMENT];
    let start = buffer.as_ptr().align_offset(ALIGNMENT);
    let place = &mut buffer[start..start + file.len()];
    place.copy_from_slice(file);
    check(Model::open(place))
}

/// The refusal of the golden file after bytes were written over it and the checksum made right.
fn refusal(at: usize, bytes: &[u8]) -> Option<ModelError> {
    let mut file = GOLDEN.to_vec();
    file[at..at + bytes.len()].copy_from_slice(bytes);
    seal(&mut file);
    open(&file, |model| model.err())
}

fn word(at: usize) -> u32 {
    u32::from_le_bytes(GOLDEN[at..at + 4].try_into().unwrap())
}

fn tensor(shape: [u16; 3], offset: u32) -> TensorInfo {
    let [height, width, channels] = shape;
    TensorInfo {
        offset,
        height,
        width,
        channels,
        slots: height,
        constant: 0,
        zero_point: -3,
        counter: TensorInfo::COMPLETE,
        scale: 0.25,
    }
}

/// Names and labels have no line breaks.
fn line() -> impl Strategy<Value = String> {
    "[^\n]{0,12}"
}

fn tables(channels: usize) -> impl Strategy<Value = Option<PreprocessingTables>> {
    let table = vec(any::<i8>(), 256).prop_map(|table| <[i8; 256]>::try_from(table).unwrap());
    prop::option::of((any::<bool>(), prop_oneof![Just(1), Just(channels)]).prop_flat_map(
        move |(bgr, count)| {
            vec(table.clone(), count).prop_map(move |tables| PreprocessingTables { bgr, tables })
        },
    ))
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        shape in [1u16..5, 1u16..5, 1u16..5], name in line(), labels in vec(line(), 0..5), macs: u32, seed: u32,
        preprocessing in tables(3), with_self_test: bool, weights in vec(vec(any::<i8>(), 0..9), 1..6), inputs in 1usize..6,
    ) {
        let shape = [shape[0], shape[1], 3];
        let length = tensor(shape, 0).len();
        let mut writer = ModelWriter::default();
        let places: Vec<u32> = weights.iter().map(|weights| writer.weights(weights.as_slice())).collect();
        let input = writer.tensor(tensor(shape, 0));
        let output = writer.tensor(tensor(shape, length as u32));
        let indices = vec![input; inputs];
        writer.step(Operator::Table, &indices, output, &TableRecord { table: 17 });
        writer.step(Operator::Transpose, &[output], input, &TransposeRecord { order: [2, 1, 0], reserved: 0 });
        let self_test = with_self_test.then(|| (seed, vec![7i8; length]));
        let metadata = Metadata { name: name.clone(), labels: labels.clone(), preprocessing: preprocessing.clone(), self_test: self_test.clone(), macs };
        let file = writer.finish(Target::Portable, Numerics::TfLite, Execution { arena_bytes: 2 * length as u32, ..Execution::default() }, [input, output], &metadata);
        open(&file, |model| {
            let model = model.unwrap();
            assert_eq!((model.target(), model.numerics()), (Target::Portable, Numerics::TfLite));
            assert_eq!((model.file_bytes(), model.arena_bytes(), model.macs()), (file.len(), 2 * length, macs));
            assert_eq!(model.operators(), Operator::Table.bit() | Operator::Transpose.bit() | Target::Portable.bit());
            assert_eq!(model.tensors(), [tensor(shape, 0), tensor(shape, length as u32)]);
            assert_eq!((model.input(), model.output()), (&model.tensors()[0], &model.tensors()[1]));
            assert_eq!(model.name(), name);
            assert_eq!(model.labels().collect::<Vec<_>>(), labels);
            for (place, weights) in places.into_iter().zip(&weights) {
                assert_eq!(place % 4, 0);
                let found = &model.weights()[place as usize..][..weights.len()];
                assert!(found.iter().zip(weights).all(|(&found, &weight)| found as i8 == weight));
            }
            assert_eq!(model.preprocessing().map(|found| found.bgr), preprocessing.as_ref().map(|made| made.bgr));
            for channel in 0..3 {
                let expected = preprocessing.as_ref().map(|made| made.tables[channel % made.tables.len()]);
                assert_eq!(model.preprocessing().and_then(|found| found.table(channel).copied()), expected);
            }
            assert_eq!(model.self_test().map(|found| (found.seed, found.output.to_vec())), self_test);
            let steps: Vec<_> = model.steps().collect();
            assert_eq!(steps.len(), 2);
            assert_eq!((steps[0].operator, steps[0].inputs, steps[0].output), (Operator::Table, indices.as_slice(), output));
            assert_eq!(steps[0].record::<TableRecord>().unwrap().table, 17);
            assert_eq!(steps[1].record::<TransposeRecord>().unwrap().order, [2, 1, 0]);
        });
    }

    #[test]
    fn tensors_quantize_what_they_dequantize(scale in 1e-6f32..1e6, zero_point: i8, value: i8, real in -1e9f32..1e9) {
        let tensor = TensorInfo { scale, zero_point, ..tensor([1, 1, 1], 0) };
        prop_assert_eq!(tensor.quantize(tensor.dequantize(value)), value);
        let exact = f64::from(real) / f64::from(scale) + f64::from(zero_point);
        let error = (f64::from(tensor.quantize(real)) - exact.clamp(-128.0, 127.0)).abs();
        prop_assert!(error <= 0.5 + 1e-4, "{} for {}", tensor.quantize(real), exact);
    }
}

#[test]
fn tensors_beyond_31_bits_have_no_range() {
    let largest = [u16::MAX, 1, 32768];
    assert_eq!(tensor(largest, 32768).range(), None);
    assert_eq!(tensor(largest, 32767).range(), Some(32767..i32::MAX as usize));
    assert_eq!(tensor([u16::MAX; 3], 0).range(), None);
    assert_eq!(tensor([1, 1, 1], u32::MAX).range(), None);
}

#[test]
fn extreme_reals_saturate() {
    let tensor = tensor([1, 1, 1], 0);
    let found = [f32::INFINITY, f32::NEG_INFINITY, f32::MAX, 0.0, f32::NAN].map(|real| tensor.quantize(real));
    assert_eq!(found, [127, -128, 127, -3, -3]);
}

#[test]
fn fields_without_a_meaning_are_refused_by_name() {
    let header = |field| Some(ModelError::Header { field });
    assert_eq!(refusal(TARGET, &[6]), header("target"));
    assert_eq!(refusal(NUMERICS, &[2]), header("numerics"));
    assert_eq!(refusal(OPERATORS, &(word(OPERATORS) & !2).to_le_bytes()), header("operators"));
    assert_eq!(refusal(ARENA_BYTES, &(1u32 << 31).to_le_bytes()), header("arena_bytes"));
    for (field, at) in SPANS {
        assert_eq!(refusal(at, &u32::MAX.to_le_bytes()), header(field), "offset");
        assert_eq!(refusal(at, &(word(at) + 4).to_le_bytes()), header(field), "alignment");
        assert_eq!(refusal(at + 4, &u32::MAX.to_le_bytes()), header(field), "length");
    }
    // A tensor is 20 bytes, preprocessing tables are whole, and a self-test is as long as the output.
    for (field, at) in [SPANS[0], SPANS[4], SPANS[5]] {
        assert_eq!(refusal(at + 4, &(word(at + 4) - 1).to_le_bytes()), header(field));
    }
    assert_eq!(refusal(word(SPANS[4].1) as usize, &[2]), header("preprocessing"), "neither RGB nor BGR");
    for (field, at) in [("input", INPUT), ("output", OUTPUT)] {
        assert_eq!(refusal(at, &u16::MAX.to_le_bytes()), header(field), "no such tensor");
        let constant = (0..word(SPANS[0].1 + 4) / 20)
            .find(|&index| GOLDEN[(word(SPANS[0].1) + 20 * index) as usize + 12] == 1);
        assert_eq!(refusal(at, &(constant.unwrap() as u16).to_le_bytes()), header(field), "a constant");
    }
}

/// A line that is no text is an empty one, and the others are what they are.
#[test]
fn lines_that_are_not_utf8_are_empty() {
    let mut file = GOLDEN.to_vec();
    file[word(SPANS[3].1) as usize] = 0xff;
    seal(&mut file);
    open(&file, |model| {
        let model = model.unwrap();
        assert_eq!(model.name(), "");
        open(GOLDEN, |golden| assert!(golden.unwrap().labels().eq(model.labels())));
    });
}

/// A file of another version is refused by its number, whatever else it holds: this one is whole, as version 1 was.
#[test]
fn files_of_version_1_are_refused_by_name() {
    let refused = open(include_bytes!("golden/v1.ocelli"), |model| model.err());
    assert_eq!(refused, Some(ModelError::Version { found: 1 }));
}

/// The targets by name and code, each with a bit of its own above those of operators.
#[test]
fn targets_have_codes_and_bits() {
    for (code, target) in Target::ALL.into_iter().enumerate() {
        assert_eq!((Target::from_code(code as u8), target as usize), (Some(target), code));
        assert_eq!(target.bit() & operator::OPERATORS, 0);
        assert_eq!(operator::ALL & target.bit(), target.bit());
    }
    assert_eq!(Target::from_code(Target::ALL.len() as u8), None);
}

#[test]
fn tensors_without_values_or_scale_are_refused() {
    let first = word(SPANS[0].1) as usize;
    for axis in 0..3 {
        assert_eq!(refusal(first + 4 + 2 * axis, &[0, 0]), Some(ModelError::Tensor { index: 0 }));
    }
    for scale in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        assert_eq!(refusal(first + 16, &scale.to_le_bytes()), Some(ModelError::Tensor { index: 0 }));
    }
}

#[test]
fn steps_that_cannot_be_read_are_refused() {
    let first = word(SPANS[1].1) as usize;
    let length = u16::from_le_bytes([GOLDEN[first + 2], GOLDEN[first + 3]]);
    let step = |index| Some(ModelError::Step { index });
    assert_eq!(refusal(first, &u16::MAX.to_le_bytes()), step(0), "operator");
    for wrong in [0, 4, length - 2, u16::MAX] {
        assert_eq!(refusal(first + 2, &wrong.to_le_bytes()), step(0), "length {wrong}");
    }
    assert_eq!(refusal(first + 4, &u16::MAX.to_le_bytes()), step(0), "output");
    assert_eq!(refusal(first + 6, &[u8::MAX]), step(0), "number of inputs");
    assert_eq!(refusal(first + 8, &u16::MAX.to_le_bytes()), step(0), "input");
    assert_eq!(refusal(first + usize::from(length) + 2, &[0, 0]), step(1));
}

#[test]
fn refusals_say_what_to_do() {
    for (refusal, parts) in [
        (ModelError::Misaligned, vec!["16", "Aligned"]),
        (ModelError::Magic, vec!["not a packed Ocelli model", "ocelli quantize"]),
        (ModelError::Length { expected: 100, found: 7 }, vec!["100", "7", "copy"]),
        (ModelError::Version { found: 9 }, vec!["9", "2", "pack it again"]),
        (ModelError::Checksum, vec!["checksum", "copy or pack it again"]),
        (ModelError::Header { field: "weights" }, vec!["`weights`", "pack"]),
        (ModelError::Tensor { index: 5 }, vec!["5", "pack"]),
        (ModelError::Step { index: 6 }, vec!["6", "pack"]),
    ] {
        let message = refusal.to_string();
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
    }
}

/// What `docs/format.md` states.
#[test]
fn records_are_as_long_as_specified() {
    assert_eq!((size_of::<TensorInfo>(), size_of::<TableRecord>(), size_of::<ConcatRecord>()), (20, 4, 4));
    assert_eq!(
        (size_of::<ConvRecord>(), size_of::<AveragePoolQ32Record>(), size_of::<PoolRecord>()),
        (28, 28, 20)
    );
    assert_eq!((size_of::<PackedConvRecord>(), size_of::<PackedSeparableConvRecord>()), (28, 36));
    assert_eq!((size_of::<AddQ32Record>(), size_of::<AddTfLiteRecord>()), (16, 40));
    assert_eq!((size_of::<MulQ32Record>(), size_of::<MulTfLiteRecord>()), (8, 16));
    assert_eq!((size_of::<PReluQ32Record>(), size_of::<PReluTfLiteRecord>()), (24, 32));
    assert_eq!((size_of::<SoftmaxTfLiteRecord>(), size_of::<MeanTfLiteRecord>()), (12, 12));
    assert_eq!((size_of::<PadRecord>(), size_of::<TransposeRecord>(), size_of::<SliceRecord>()), (8, 4, 4));
    assert_eq!((size_of::<AttentionQ32Record>(), size_of::<SeparableAttentionQ32Record>()), (48, 16));
    assert_eq!((size_of::<NormQ32Record>(), size_of::<MatMulQ32Record>()), (20, 12));
    assert_eq!((attention_scratch_bytes(64, 16), separable_attention_scratch_bytes(64, 16)), (163, 195));
}

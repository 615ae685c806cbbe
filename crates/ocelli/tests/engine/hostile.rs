//! Files that someone damaged or made: refused, or run without a panic, without touching other memory and in bounded time.

use std::fmt::Write;

use ocelli::{ALIGNMENT, Engine, Model, ModelError, operator, test_bytes};
use ocelli_format::{Header, Metadata, TensorInfo, operator as records, seal};
use ocelli_kernels::Q32Channel;
use proptest::prelude::*;
use zerocopy::FromBytes;

use crate::network::{AlignedBytes, Network};
use crate::sample::{self, window};
use crate::{attention_sample, packed_sample};

/// The arena that a hostile file gets at most.
const ARENA: usize = 1 << 16;
const GUARD: usize = 64;

/// Opens and runs a file if it lets itself; whether it ran.
fn attempt(file: &[u8]) -> bool {
    let model = match Model::open(file) {
        Ok(model) => model,
        Err(refusal) => {
            describe(refusal);
            return false;
        }
    };
    describe(model.name());
    model.labels().for_each(describe);
    if let Some(preprocessing) = model.preprocessing() {
        assert!(preprocessing.table(0).is_some());
    }
    let length = model.arena_bytes().min(ARENA);
    let mut memory = vec![0x5a; GUARD + length + GUARD];
    let mut ran = false;
    match Engine::<{ operator::ALL }>::new(model, &mut memory[GUARD..GUARD + length]) {
        Ok(mut engine) => {
            let input: Vec<i8> = test_bytes(7).take(model.input().len()).collect();
            let output = engine.run(&input).expect("what `new` took runs");
            assert_eq!(output.len(), model.output().len());
            output.top_k::<3>().iter().for_each(|class| describe(class.score()));
            engine.self_test().expect("what `new` took runs");
            ran = true;
        }
        Err(refusal) => describe(refusal),
    }
    assert!(memory[..GUARD].iter().chain(&memory[GUARD + length..]).all(|&byte| byte == 0x5a));
    ran
}

/// Messages must not panic either.
fn describe(value: impl std::fmt::Display) {
    let mut text = String::new();
    write!(text, "{value}").unwrap();
}

#[test]
fn every_flipped_byte_is_refused_or_harmless() {
    for file in samples() {
        let mut copy = AlignedBytes::new(&file);
        let mut ran = 0;
        for at in 0..file.len() {
            // Two of them a byte, the other two in the next: targets' files are many.
            for flip in [0x01, 0x10, 0x80, 0xff].into_iter().skip(at % 2).step_by(2) {
                copy.get_mut()[at] ^= flip;
                assert!(Model::open(copy.get()).is_err(), "byte {at} flipped by {flip:#x} was not noticed");
                seal(copy.get_mut());
                ran += usize::from(attempt(copy.get()));
                copy.get_mut().copy_from_slice(&file);
            }
        }
        // Most bytes are weights, any of which are as good as others.
        assert!(ran > file.len() / 2, "only {ran} ran");
    }
}

#[test]
fn every_truncation_is_refused() {
    let file = sample::file();
    for length in 0..file.len() {
        let mut copy = AlignedBytes::new(&file[..length]);
        assert!(Model::open(copy.get()).is_err(), "{length} bytes");
        if length >= size_of::<Header>() {
            copy.get_mut()[12..16].copy_from_slice(&(length as u32).to_le_bytes());
            seal(copy.get_mut());
            assert!(!attempt(copy.get()), "{length} bytes that say so");
        }
    }
    for extra in [1, 16, 4096] {
        let longer = [file.as_slice(), &vec![0; extra]].concat();
        let expected = ModelError::Length { expected: file.len(), found: longer.len() };
        assert_eq!(Model::open(AlignedBytes::new(&longer).get()).err(), Some(expected));
    }
}

#[test]
fn a_misaligned_file_is_refused() {
    let file = sample::file();
    let bytes = AlignedBytes::new(&vec![0; file.len() + ALIGNMENT]);
    let mut buffer = bytes;
    for shift in 1..ALIGNMENT {
        let place = &mut buffer.get_mut()[shift..shift + file.len()];
        place.copy_from_slice(&file);
        assert_eq!(Model::open(place).err(), Some(ModelError::Misaligned));
    }
}

#[test]
fn other_versions_and_other_files_are_refused_as_such() {
    let mut file = AlignedBytes::new(&sample::file());
    for version in [0u16, 1, 3, 0x0102, u16::MAX] {
        file.get_mut()[8..10].copy_from_slice(&version.to_le_bytes());
        let refusal = Model::open(file.get()).err().unwrap();
        assert_eq!(refusal, ModelError::Version { found: version });
        assert!(refusal.to_string().contains(&version.to_string()));
    }
    assert!(Model::open(&[]).is_err());
    for other in [&b"TFL3 a file of another kind than this"[..], &[0; 4096], &[0xff; 4096], b"OCELLI\n"] {
        assert_eq!(Model::open(AlignedBytes::new(other).get()).err(), Some(ModelError::Magic));
    }
    let magic_alone = AlignedBytes::new(&ocelli_format::MAGIC);
    assert_eq!(
        Model::open(magic_alone.get()).err(),
        Some(ModelError::Length { expected: size_of::<Header>(), found: 8 })
    );
}

/// Values that are likely to hurt.
fn value() -> impl Strategy<Value = u32> {
    prop_oneof![
        prop::sample::select(vec![
            0u32,
            1,
            2,
            3,
            4,
            7,
            8,
            16,
            255,
            256,
            0x7fff,
            0x8000,
            0xffff,
            0x1_0000,
            0x7fff_ffff,
            0x8000_0000,
            0xffff_fff0,
            u32::MAX,
        ]),
        0u32..64,
        any::<u32>(),
    ]
}

/// Where a value is written, and how many bytes of it.
fn mutation(length: usize) -> impl Strategy<Value = (usize, usize, u32)> {
    (0..length, prop::sample::select(vec![1usize, 2, 4]), value())
}

fn mutate(file: &mut [u8], mutations: &[(usize, usize, u32)], start: usize) {
    for &(at, bytes, value) in mutations {
        let at = start + at / bytes * bytes;
        if let Some(place) = file.get_mut(at..at + bytes) {
            place.copy_from_slice(&value.to_le_bytes()[..bytes]);
        }
    }
    seal(file);
}

/// The span of a section in the header, in the order of the fields, from tensors on.
fn span(file: &[u8], index: usize) -> (usize, usize) {
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
    (word(36 + 8 * index), word(40 + 8 * index))
}

const SAMPLES: usize = 2 + packed_sample::TARGETS.len();

/// The portable samples, and one for each target that has kernels of its own.
fn samples() -> Vec<Vec<u8>> {
    let packed = packed_sample::TARGETS.map(packed_sample::file);
    [sample::file(), attention_sample::file()].into_iter().chain(packed).collect()
}

thread_local! {
    static FILES: Vec<Vec<u8>> = samples();
}

/// A copy of one of the samples.
fn file(index: usize) -> AlignedBytes {
    FILES.with(|files| AlignedBytes::new(&files[index]))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn values_written_over_the_header(mutations in prop::collection::vec(mutation(84), 1..4), index in 0..SAMPLES) {
        let mut file = file(index);
        mutate(file.get_mut(), &mutations, 12);
        attempt(file.get());
    }

    #[test]
    fn values_written_over_tensors(mutations in prop::collection::vec(mutation(28 * 16), 1..4), index in 0..SAMPLES) {
        let mut file = file(index);
        let (start, _) = span(file.get(), 0);
        mutate(file.get_mut(), &mutations, start);
        attempt(file.get());
    }

    #[test]
    fn values_written_over_steps(mutations in prop::collection::vec(mutation(700), 1..4), index in 0..SAMPLES) {
        let mut file = file(index);
        let (start, _) = span(file.get(), 1);
        mutate(file.get_mut(), &mutations, start);
        attempt(file.get());
    }

    #[test]
    fn values_written_anywhere(mutations in prop::collection::vec(mutation(5000), 1..30), index in 0..SAMPLES) {
        let mut file = file(index);
        mutate(file.get_mut(), &mutations, 12);
        attempt(file.get());
    }

    /// Tensors and windows of one pool or convolution changed together, so that some still fit.
    #[test]
    fn windows_of_any_size(
        shapes in [[1u16..9, 1u16..9, 1u16..4], [1u16..9, 1u16..9, 1u16..4]],
        numbers in prop::collection::vec(prop_oneof![0u16..5, 0u16..5, Just(u16::MAX), any::<u16>()], 8),
        kind in 0usize..4, shift: u8, channel: (i32, i32),
    ) {
        let mut network = Network::default();
        let input = network.tensor(shapes[0], 1.0, 5);
        let [height, width, channels] = shapes[1];
        let output = network.tensor([height, width, if kind < 3 { shapes[0][2] } else { channels }], 1.0, -7);
        let mut shape = window([1, 1], 1, 1, 0);
        shape.kernel = [numbers[0], numbers[1]];
        shape.stride = [numbers[2], numbers[3]];
        shape.padding = [numbers[4], numbers[5]];
        if kind == 3 {
            shape.dilation = [numbers[6], numbers[7]];
        }
        let channel = Q32Channel { bias: channel.0, multiplier: channel.1 };
        let pool = records::PoolRecord { window: shape, min: -5, max: 5, reserved: [0; 2] };
        match kind {
            0 => network.writer.step(records::Operator::MaxPool, &[input], output, &pool),
            1 => network.writer.step(records::Operator::AveragePoolTfLite, &[input], output, &pool),
            2 => network.writer.step(records::Operator::AveragePoolQ32, &[input], output, &records::AveragePoolQ32Record {
                window: shape, channel, shift, count_include_pad: shift & 1, reserved: [0; 2],
            }),
            _ => {
                let weights = network.writer.weights(&[-128i8; 2000]);
                let channels = network.writer.weights(&[channel; 4]);
                let record = records::ConvRecord { window: shape, groups: 1, min: -128, max: 127, weights, channels };
                network.writer.step(records::Operator::Conv2dQ32, &[input], output, &record);
            }
        }
        attempt(AlignedBytes::new(&network.file(input, output, &Metadata::default())).get());
    }
}

/// The largest windows that are allowed on a small map: the taps that miss the map must cost nothing.
#[test]
fn the_largest_windows_take_no_time() {
    let mut network = Network::default();
    let input = network.tensor([8, 8, 4], 1.0, 0);
    let output = network.tensor([64, 64, 4], 1.0, 0);
    let shape = ocelli_kernels::Window {
        kernel: [u16::MAX; 2],
        padding: [u16::MAX - 1; 2],
        ..window([1, 1], 1, 1, 0)
    };
    let pool = records::PoolRecord { window: shape, min: -128, max: 127, reserved: [0; 2] };
    network.writer.step(records::Operator::MaxPool, &[input], output, &pool);
    network.writer.step(records::Operator::AveragePoolTfLite, &[input], output, &pool);
    let average = records::AveragePoolQ32Record {
        window: shape,
        channel: Q32Channel { bias: 1, multiplier: i32::MAX },
        shift: 255,
        count_include_pad: 0,
        reserved: [0; 2],
    };
    network.writer.step(records::Operator::AveragePoolQ32, &[input], output, &average);
    assert!(attempt(AlignedBytes::new(&network.file(input, output, &Metadata::default())).get()));
}

#[test]
fn tensors_at_the_edge_of_memory_are_refused() {
    let model = AlignedBytes::new(&sample::file());
    let (start, length) = span(model.get(), 0);
    let tensors = <[TensorInfo]>::ref_from_bytes(&model.get()[start..start + length]).unwrap().to_vec();
    for (index, tensor) in tensors.iter().enumerate() {
        let mut copy = AlignedBytes::new(model.get());
        let room = if tensor.constant == 1 {
            span(model.get(), 2).1
        } else {
            Model::open(model.get()).unwrap().arena_bytes()
        };
        let offset = (room - tensor.len() + 1) as u32;
        let at = start + 20 * index;
        for offset in [offset, u32::MAX, i32::MAX as u32] {
            copy.get_mut()[at..at + 4].copy_from_slice(&offset.to_le_bytes());
            seal(copy.get_mut());
            assert_eq!(Model::open(copy.get()).err(), Some(ModelError::Tensor { index }));
        }
    }
}

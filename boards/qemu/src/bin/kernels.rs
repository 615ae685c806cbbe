//! The image that tests the kernels of the machine's architecture against the portable ones.
//!
//! The file `options` says what to run: `test` or `trace`, seed, cases a kind, and the start of the kinds' names; or `bench`, which prints
//! tabulated the name, rule, form, instructions and operations of each micro-benchmark.
#![no_std]
#![no_main]

use core::fmt;
use core::ops::Range;
use core::str::{SplitWhitespace, from_utf8};

use ocelli_app::Counter;
use ocelli_kernel_cases::{BENCHMARKS, Kind, Measurement, Verdict, Workspace, check};
use ocelli_qemu::counter::InstructionCounter;
use ocelli_qemu::files;
use ocelli_qemu::memory;
use semihosting::println;
use zerocopy::FromBytes;

/// The architecture of the machine.
#[cfg(feature = "m0")]
type Native = ocelli_kernels::arch::armv6m::Armv6m;
#[cfg(feature = "m3")]
type Native = ocelli_kernels::arch::armv7m::Armv7m;
#[cfg(any(feature = "m4", feature = "m7", feature = "m33"))]
type Native = ocelli_kernels::arch::dsp::Dsp;
#[cfg(feature = "m55")]
type Native = ocelli_kernels::arch::helium::Helium;
#[cfg(feature = "rv32")]
type Native = ocelli_kernels::arch::rv32::Rv32;

#[ocelli_qemu::entry]
fn main() -> ! {
    ocelli_qemu::console::exit(run())
}

/// What ends the image with an error.
enum Failure {
    Options,
    Memory,
    Differences(u32),
    Benchmark(&'static str),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Options => write!(f, "the file `options` does not say what to run"),
            Self::Memory => write!(f, "the workspace does not fit the memory"),
            Self::Benchmark(name) => write!(f, "the kernel refuses the benchmark {name}"),
            Self::Differences(count) => write!(f, "{count} cases failed"),
        }
    }
}

fn number(words: &mut SplitWhitespace<'_>) -> Result<u32, Failure> {
    words.next().and_then(|word| word.parse().ok()).ok_or(Failure::Options)
}

fn run() -> Result<(), Failure> {
    let memory = memory::take().ok_or(Failure::Memory)?;
    let (workspace, _) = Workspace::mut_from_prefix(memory.memory.free).map_err(|_| Failure::Memory)?;
    let mut buffer = [0; 80];
    let options = files::read(c"options", &mut buffer).ok().and_then(|text| from_utf8(text).ok());
    let mut words = options.ok_or(Failure::Options)?.split_whitespace();
    let mode = words.next().ok_or(Failure::Options)?;
    if mode == "bench" {
        return bench(workspace);
    }
    let (seed, cases) = (number(&mut words)?, number(&mut words)?);
    let mut failed = 0;
    for kind in Kind::named(words.next().unwrap_or_default()) {
        failed += check_kind(kind, seed..seed.saturating_add(cases), mode == "trace", workspace);
    }
    if failed == 0 { Ok(()) } else { Err(Failure::Differences(failed)) }
}

/// Prints a line a micro-benchmark.
fn bench(workspace: &mut Workspace) -> Result<(), Failure> {
    let counter = InstructionCounter::start().ok_or(Failure::Memory)?;
    for benchmark in BENCHMARKS {
        let print = |measurement: Measurement| {
            let Measurement { tflite, instructions, operations, form } = measurement;
            let rule = if tflite { "tflite" } else { "q32" };
            println!("{}\t{rule}\t{}\t{instructions}\t{operations}", benchmark.name, form.name());
        };
        let measured = benchmark.measure::<Native>(workspace, &|| counter.count(), print);
        measured.ok_or(Failure::Benchmark(benchmark.name))?;
    }
    Ok(())
}

/// Runs cases of a kind, prints the first failures and a summary, and gives how many failed.
fn check_kind(kind: Kind, seeds: Range<u32>, trace: bool, workspace: &mut Workspace) -> u32 {
    let (mut equal, mut portable, mut failed) = (0, 0, 0);
    for seed in seeds {
        if trace {
            println!("{} --seed {seed}", kind.name());
        }
        match check::<Native>(kind, seed, workspace) {
            Ok(Verdict::Equal) => equal += 1,
            Ok(Verdict::Portable) => portable += 1,
            Err(difference) => {
                if failed < 3 {
                    println!("{difference}");
                }
                failed += 1;
            }
        }
    }
    println!("{}: {equal} cases equal, {portable} keep the portable form, {failed} failed", kind.name());
    failed
}

//! Every architecture equals the portable kernels on the host, where its assembly is a model in plain Rust.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ocelli_kernel_cases::{Kind, Verdict, Workspace, check};
use ocelli_kernels::arch::armv6m::Armv6m;
use ocelli_kernels::arch::armv7m::Armv7m;
use ocelli_kernels::arch::dsp::Dsp;
use ocelli_kernels::arch::helium::Helium;
use ocelli_kernels::arch::rv32::Rv32;
use ocelli_kernels::arch::{Arch, Portable};
use zerocopy::FromZeros;

mod architectures;
use architectures::Copied;

const CASES: u32 = 1500;

fn equals_portable<A: Arch>() {
    let mut workspace = Workspace::new_box_zeroed().expect("memory");
    for &kind in Kind::ALL {
        let mut portable = 0;
        for seed in 0..CASES {
            let checked = catch_unwind(AssertUnwindSafe(|| check::<A>(kind, seed, &mut workspace)));
            match checked.unwrap_or_else(|_| panic!("{} --seed {seed} panicked", kind.name())) {
                Ok(Verdict::Equal) => {}
                Ok(Verdict::Portable) => portable += 1,
                Err(difference) => panic!("{difference}"),
            }
        }
        println!("{}: {CASES} cases, {portable} of them keep the portable form", kind.name());
    }
}

#[test]
fn portable() {
    equals_portable::<Portable>();
}

/// The suite itself: an architecture that is right by construction.
#[test]
fn copied() {
    equals_portable::<Copied>();
}

#[test]
fn dsp() {
    equals_portable::<Dsp>();
}

#[test]
fn helium() {
    equals_portable::<Helium>();
}

#[test]
fn armv7m() {
    equals_portable::<Armv7m>();
}

#[test]
fn armv6m() {
    equals_portable::<Armv6m>();
}

#[test]
fn rv32() {
    equals_portable::<Rv32>();
}

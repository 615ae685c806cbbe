//! Every kernel against its definition: naive loops over whole maps in wide integers, written from `docs/numerics.md`.
#![allow(clippy::needless_range_loop, reason = "definitions index by coordinates, as the formulas do")]

mod attention;
mod convolution;
mod elementwise;
mod layout;
mod maps;
mod matmul;
mod misfits;
mod norm;
mod pooling;
mod rules;
mod separable;
mod sequences;
mod softmax;

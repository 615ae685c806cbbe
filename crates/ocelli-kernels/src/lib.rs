//! Exact int8 kernels for microcontrollers. `docs/numerics.md` states the arithmetic; the functions here are that statement in code.
//!
//! - Every spatial kernel makes **one output row** at a time from a [`Map`], whose rows may live in a ring: a whole feature map is a ring as
//!   tall as the map.
//! - Maps are `height x width x channels`, channels innermost, int8.
//!   Attention reads the rows of keys and values again for each row of queries, so theirs are all in memory.
//! - A kernel never panics and never reads out of bounds: it returns `None` where slices and shapes do not fit together.
//! - Accumulators are `i32` and wrap; the packer proves that they do not.
#![no_std]
// Only `arch` has unsafe code: calls of assembly.
#![deny(unsafe_code)]

pub mod arch;
pub mod attention;
pub mod conv;
pub mod dense;
pub mod depthwise;
pub mod elementwise;
pub mod layout;
pub mod map;
pub mod matmul;
pub mod norm;
pub mod pool;
pub mod requantize;
mod scratch;
pub mod separable;
mod sequence;
pub mod softmax;

pub use map::{Map, Window};
pub use requantize::{Q32, Q32Channel, Requantize, Rule, TfLite, TfLiteChannel, TfLiteFullyConnected};

//! From a float or int8 network file to a packed model: import, simplify, calibrate, quantize, targets, plan, pack. One module a stage, in that order.
#![forbid(unsafe_code)]

pub mod calibrate;
pub mod evaluate;
pub mod float;
pub mod graph;
pub mod import;
pub mod pack;
pub mod plan;
pub mod quantize;
pub mod quantized;
pub mod simplify;
pub mod targets;

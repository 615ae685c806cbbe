//! From a graph to an int8 network.

pub mod imported;

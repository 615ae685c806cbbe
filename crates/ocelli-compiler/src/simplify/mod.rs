//! Removes what a network does not need.

mod unused;

pub use unused::remove_unused;

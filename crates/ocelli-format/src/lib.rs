//! The packed model of Ocelli: a validated, zero-copy view, and its writer.
#![no_std]

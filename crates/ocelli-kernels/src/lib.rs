//! Exact int8 kernels for microcontrollers: the portable ones are the specification.
#![no_std]

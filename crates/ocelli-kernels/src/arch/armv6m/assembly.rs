//! The assembly of Cortex-M0; `pairs::assembly` calls it.
#![expect(unsafe_code, reason = "declarations and calls of assembly")]

use core::arch::global_asm;

use super::Armv6m;
use crate::arch::pairs::assembly::{Assembly, Depthwise, Functions, Pointwise};

global_asm!(include_str!("pointwise.s"), options(raw));
global_asm!(include_str!("words.s"), options(raw));
global_asm!(include_str!("taps.s"), options(raw));
global_asm!(include_str!("tflite.s"), options(raw));

unsafe extern "C" {
    fn ocelli_armv6m_pointwise_q32(arguments: &Pointwise);
    fn ocelli_armv6m_pointwise_tflite(arguments: &Pointwise);
    fn ocelli_armv6m_widen(sources: &[*const i8; 4], x: *mut u32, count: usize);
    fn ocelli_armv6m_columns_1(rows: &[*const i8; 5], words: *mut u32, length: usize, step: usize);
    fn ocelli_armv6m_columns_2(rows: &[*const i8; 5], words: *mut u32, length: usize, step: usize);
    fn ocelli_armv6m_taps_1_3_q32(arguments: &Depthwise);
    fn ocelli_armv6m_taps_1_5_q32(arguments: &Depthwise);
    fn ocelli_armv6m_taps_2_3_q32(arguments: &Depthwise);
    fn ocelli_armv6m_taps_2_5_q32(arguments: &Depthwise);
    fn ocelli_armv6m_taps_1_3_tflite(arguments: &Depthwise);
    fn ocelli_armv6m_taps_1_5_tflite(arguments: &Depthwise);
    fn ocelli_armv6m_taps_2_3_tflite(arguments: &Depthwise);
    fn ocelli_armv6m_taps_2_5_tflite(arguments: &Depthwise);
}

// SAFETY: the files state arguments, clobbers and what is read and written, as `Functions` asks.
unsafe impl Assembly for Armv6m {
    const FUNCTIONS: Functions = Functions {
        pointwise: [ocelli_armv6m_pointwise_q32, ocelli_armv6m_pointwise_tflite],
        widen: ocelli_armv6m_widen,
        columns: [ocelli_armv6m_columns_1, ocelli_armv6m_columns_2],
        taps: [
            [
                [ocelli_armv6m_taps_1_5_q32, ocelli_armv6m_taps_1_3_q32],
                [ocelli_armv6m_taps_2_5_q32, ocelli_armv6m_taps_2_3_q32],
            ],
            [
                [ocelli_armv6m_taps_1_5_tflite, ocelli_armv6m_taps_1_3_tflite],
                [ocelli_armv6m_taps_2_5_tflite, ocelli_armv6m_taps_2_3_tflite],
            ],
        ],
        spans: true,
        ahead: [0, 0],
    };
}

global_asm!(include_str!("products.s"), options(raw));

unsafe extern "C" {
    fn ocelli_armv6m_products(
        first: *const [i32; 2],
        second: *const [i32; 2],
        count: usize,
        sums: *mut [i32; 2],
    );
}

/// `sums[j][i] += first[n][i] * second[n][j]` for as many `n` as both have.
pub fn products(first: &[[i32; 2]], second: &[[i32; 2]], sums: &mut [[i32; 2]; 2]) {
    let count = first.len().min(second.len());
    // SAFETY: both have `count` pairs, and `sums` the four values that the function reads and writes.
    unsafe { ocelli_armv6m_products(first.as_ptr(), second.as_ptr(), count, sums.as_mut_ptr()) }
}

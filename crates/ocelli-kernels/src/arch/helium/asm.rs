//! The assembly, and its functions as Rust sees them. What each takes and clobbers is said in the assembly.
#![allow(unsafe_code)]

use core::arch::global_asm;

// One piece, so that macros are defined once.
global_asm!(
    include_str!("begin.s"),
    include_str!("dot.s"),
    include_str!("windows.s"),
    include_str!("bytes.s"),
    include_str!("patches.s"),
    include_str!("attention.s"),
    include_str!("keys.s"),
    include_str!("elementwise.s"),
    include_str!("pool.s"),
    include_str!("norm.s"),
    options(raw)
);

macro_rules! functions {
    ($($name:ident = $symbol:literal,)+) => {
        unsafe extern "C" {
            $(#[link_name = $symbol] pub fn $name(arguments: *const usize);)+
        }
    };
}
functions! {
    dot16_q32 = "ocelli_helium_dot16_q32",
    dot16_dense_q32 = "ocelli_helium_dot16_dense_q32",
    dot16_tflite = "ocelli_helium_dot16_tflite",
    dot16_dense_tflite = "ocelli_helium_dot16_dense_tflite",
    dot32_q32 = "ocelli_helium_dot32_q32",
    dot32_tflite = "ocelli_helium_dot32_tflite",
    dots_even_q32 = "ocelli_helium_dots_even_q32",
    dots_even_tflite = "ocelli_helium_dots_even_tflite",
    dots_odd_q32 = "ocelli_helium_dots_odd_q32",
    dots_odd_tflite = "ocelli_helium_dots_odd_tflite",
    dots3_even_q32 = "ocelli_helium_dots3_even_q32",
    dots3_even_tflite = "ocelli_helium_dots3_even_tflite",
    dots3_odd_q32 = "ocelli_helium_dots3_odd_q32",
    dots3_odd_tflite = "ocelli_helium_dots3_odd_tflite",
    windows_q32 = "ocelli_helium_windows_q32",
    windows128_q32 = "ocelli_helium_windows128_q32",
    windows128_tflite = "ocelli_helium_windows128_tflite",
    windows192_q32 = "ocelli_helium_windows192_q32",
    windows192_tflite = "ocelli_helium_windows192_tflite",
    windows256_q32 = "ocelli_helium_windows256_q32",
    windows256_tflite = "ocelli_helium_windows256_tflite",
    windows_tflite = "ocelli_helium_windows_tflite",
    tiles_q32 = "ocelli_helium_tiles_q32",
    tiles_tflite = "ocelli_helium_tiles_tflite",
    patches = "ocelli_helium_patches",
    patches3_16 = "ocelli_helium_patches3_16",
    patches3_32 = "ocelli_helium_patches3_32",
    add = "ocelli_helium_add",
    add_tflite = "ocelli_helium_add_tflite",
    average_q32 = "ocelli_helium_average_q32",
    average_tflite = "ocelli_helium_average_tflite",
    mean_tflite = "ocelli_helium_mean_tflite",
    norm = "ocelli_helium_norm",
}

unsafe extern "C" {
    #[link_name = "ocelli_helium_interleave"]
    pub fn interleave(a: *const i8, b: *const i8, c: *const i8, d: *const i8, words: *mut u32, bytes: usize);
    #[link_name = "ocelli_helium_attend16"]
    pub fn attend16(arguments: *mut usize);
    #[link_name = "ocelli_helium_attend16_shifted"]
    pub fn attend16_shifted(arguments: *mut usize);
    #[link_name = "ocelli_helium_attend"]
    pub fn attend(arguments: *mut usize);
    #[link_name = "ocelli_helium_key_sums16"]
    pub fn key_sums16(keys: *const i8, steps: usize, sums: *mut i32, factor: i32, groups: usize);
    #[link_name = "ocelli_helium_key_sums"]
    pub fn key_sums(keys: *const i8, steps: usize, sums: *mut i32, factor: i32, groups: usize);
    #[link_name = "ocelli_helium_transpose"]
    pub fn transpose(
        from: *const i8,
        stride: usize,
        to: *mut i8,
        key: usize,
        keys: usize,
        channels: usize,
        offsets: *const u16,
    );
    #[link_name = "ocelli_helium_max_pixel"]
    pub fn max_pixel(
        from: *const i8,
        channels: usize,
        to: *mut i8,
        row_stride: usize,
        rows: usize,
        columns: usize,
        column_stride: usize,
    );
    #[link_name = "ocelli_helium_copy"]
    pub fn copy(to: *mut i8, from: *const i8, bytes: usize);
    #[link_name = "ocelli_helium_fill"]
    pub fn fill(to: *mut i8, value: i32, bytes: usize);
    #[link_name = "ocelli_helium_pieces"]
    pub fn pieces(
        from: *const i8,
        from_stride: usize,
        to: *mut i8,
        to_stride: usize,
        bytes: usize,
        count: usize,
    );
    #[link_name = "ocelli_helium_clamp"]
    pub fn clamp(data: *mut i8, bytes: usize, min: i32, max: i32);
    #[link_name = "ocelli_helium_table"]
    pub fn table(data: *mut i8, bytes: usize, table: *const i8);
}

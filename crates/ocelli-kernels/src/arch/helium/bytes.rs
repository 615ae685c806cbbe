//! Loops over bytes.
#![allow(unsafe_code)]

#[cfg(ocelli_helium)]
use super::asm;

/// Copies as many values as `from` holds.
#[inline]
pub fn copy(from: &[i8], to: &mut [i8]) -> Option<()> {
    let to = to.get_mut(..from.len())?;
    #[cfg(ocelli_helium)]
    // SAFETY: both slices have `from.len()` values.
    unsafe {
        asm::copy(to.as_mut_ptr(), from.as_ptr(), from.len());
    }
    #[cfg(not(ocelli_helium))]
    to.copy_from_slice(from);
    Some(())
}

/// Sets all values.
#[inline]
pub fn fill(data: &mut [i8], value: i8) {
    #[cfg(ocelli_helium)]
    // SAFETY: it writes the values of `data`.
    unsafe {
        asm::fill(data.as_mut_ptr(), value.into(), data.len());
    }
    #[cfg(not(ocelli_helium))]
    data.fill(value);
}

/// Copies `width` values from each of `count` places.
pub fn pieces(
    from: &[i8],
    from_stride: usize,
    to: &mut [i8],
    to_stride: usize,
    width: usize,
    count: usize,
) -> Option<()> {
    let Some(last) = count.checked_sub(1) else { return Some(()) };
    let fits = |stride: usize, length: usize| {
        last.checked_mul(stride)?.checked_add(width).filter(|&end| end <= length)
    };
    fits(from_stride, from.len())?;
    fits(to_stride, to.len())?;
    let mut first = 0;
    while first < width {
        let bytes = (width - first).min(16);
        #[cfg(ocelli_helium)]
        // SAFETY: `first + bytes <= width`, and `width` values from all places on are within the slices.
        unsafe {
            asm::pieces(
                from.as_ptr().wrapping_add(first),
                from_stride,
                to.as_mut_ptr().wrapping_add(first),
                to_stride,
                bytes,
                count,
            );
        }
        #[cfg(not(ocelli_helium))]
        for place in 0..count {
            let from = from.get(place * from_stride + first..)?.get(..bytes)?;
            to.get_mut(place * to_stride + first..)?.get_mut(..bytes)?.copy_from_slice(from);
        }
        first += bytes;
    }
    Some(())
}

/// `min(max(x, min), max)` of all values.
pub fn clamp(data: &mut [i8], min: i8, max: i8) {
    #[cfg(ocelli_helium)]
    // SAFETY: it reads and writes the values of `data`.
    unsafe {
        asm::clamp(data.as_mut_ptr(), data.len(), min.into(), max.into());
    }
    #[cfg(not(ocelli_helium))]
    for value in data {
        *value = (*value).max(min).min(max);
    }
}

/// `table[x + 128]` of all values.
#[inline]
pub fn table(data: &mut [i8], table: &[i8; 256]) {
    #[cfg(ocelli_helium)]
    // SAFETY: it reads and writes the values of `data`, and reads `table` at indices of 8 bits.
    unsafe {
        asm::table(data.as_mut_ptr(), data.len(), table.as_ptr());
    }
    #[cfg(not(ocelli_helium))]
    crate::elementwise::table(data, table);
}

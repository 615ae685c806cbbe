//! Working memory, which the arena gives as bytes at any address.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Bytes that working memory needs beyond its contents, for its start to be moved to a multiple of 4.
pub(crate) const SPARE: usize = 3;

/// The bytes of `scratch` from the first multiple of 4 on.
#[inline]
pub(crate) fn align(scratch: &mut [i8]) -> Option<&mut [u8]> {
    let skip = scratch.as_ptr().addr().wrapping_neg() & SPARE;
    Some(scratch.get_mut(skip..)?.as_mut_bytes())
}

/// The first `length` values and the bytes after them; `None` where they do not fit.
#[inline]
pub(crate) fn take<T: FromBytes + IntoBytes + KnownLayout + Immutable>(
    bytes: &mut [u8],
    length: usize,
) -> Option<(&mut [T], &mut [u8])> {
    <[T]>::mut_from_prefix_with_elems(bytes, length).ok()
}

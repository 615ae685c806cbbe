//! A port made of two functions.

use embedded_io::{ErrorKind, ErrorType, Read, Write};

/// A port made of two functions, for HALs whose blocking ports do not implement the traits of `embedded-io`: one waits for a byte, one
/// writes bytes; both say whether they succeeded.
#[derive(Debug)]
pub struct Calls<R, W> {
    /// Waits for a byte.
    pub read: R,
    /// Writes bytes.
    pub write: W,
}

impl<R, W> ErrorType for Calls<R, W> {
    type Error = ErrorKind;
}

impl<R: FnMut(&mut [u8; 1]) -> bool, W> Read for Calls<R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        let Some(byte) = buffer.first_chunk_mut() else { return Ok(0) };
        if (self.read)(byte) { Ok(1) } else { Err(ErrorKind::Other) }
    }
}

impl<R, W: FnMut(&[u8]) -> bool> Write for Calls<R, W> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        if (self.write)(bytes) { Ok(bytes.len()) } else { Err(ErrorKind::Other) }
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

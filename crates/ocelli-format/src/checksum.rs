//! CRC-32 (ISO-HDLC, as zip and PNG use), four bits at a time: a table of 64 bytes, where one of eight bits at a time takes 1 KiB of flash.

use crate::Header;

/// The remainders of four bits.
static TABLE: [u32; 16] = {
    let mut table = [0u32; 16];
    let mut index = 0;
    while index < table.len() {
        let mut remainder = index as u32;
        let mut bit = 0;
        while bit < 4 {
            remainder = if remainder & 1 == 1 { remainder >> 1 ^ 0xedb8_8320 } else { remainder >> 1 };
            bit += 1;
        }
        table[index] = remainder;
        index += 1;
    }
    table
};

/// The checksum of a file: of all bytes but the four of the checksum itself.
pub(crate) fn checksum(file: &[u8]) -> u32 {
    let start = file.get(..Header::CHECKSUM.start).unwrap_or_default();
    let end = file.get(Header::CHECKSUM.end..).unwrap_or_default();
    crc32([start, end])
}

/// The CRC of parts that follow each other.
fn crc32(parts: [&[u8]; 2]) -> u32 {
    let mut remainder = u32::MAX;
    for part in parts {
        for &byte in part {
            remainder ^= u32::from(byte);
            for _ in 0..2 {
                remainder = remainder >> 4 ^ TABLE[(remainder & 15) as usize];
            }
        }
    }
    !remainder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_the_catalogue() {
        assert_eq!(crc32([b"123456789", b""]), 0xcbf4_3926);
        assert_eq!(crc32([b"1234", b"56789"]), 0xcbf4_3926);
    }
}

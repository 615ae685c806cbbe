//! The second flash of QEMU's RISC-V machine, which keeps what is written in the file behind it (`-drive if=pflash,unit=1`): two NOR chips side by side,
//! of 16 bits each, that take Intel's commands.

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};
use ocelli_slots::{Installed, MappedFlash};

/// The chips' memory. The first flash, before it, is for programs.
const MEMORY: *mut u32 = 0x2200_0000 as *mut u32;
/// Bytes of both chips.
pub const LENGTH: usize = 32 << 20;
/// What is erased at once.
pub const SECTOR: usize = 256 << 10;

/// What is written at once, and lies between multiples of it.
const BUFFER: usize = 512;

/// A command for both chips.
const fn command(code: u32) -> u32 {
    code << 16 | code
}

const READ_MEMORY: u32 = command(0xFF);
const PROGRAM_BUFFER: u32 = command(0xE8);
const ERASE_SECTOR: u32 = command(0x20);
const CONFIRM: u32 = command(0xD0);
const CLEAR_STATUS: u32 = command(0x50);
const READY: u32 = command(0x80);
/// Erasing or programming failed, voltage was low, or the sector is locked.
const WRONG: u32 = command(0b0011_1010);

/// The flash. The power of the board can be made to end in the middle of an operation.
#[derive(Debug)]
pub struct Nor {
    power: Option<u32>,
}

/// The flash did not do what it was told.
#[derive(Clone, Copy, Debug)]
pub struct Failure(NorFlashErrorKind);

impl NorFlashError for Failure {
    fn kind(&self) -> NorFlashErrorKind {
        self.0
    }
}

impl Nor {
    /// The flash of a board whose power ends in the middle of erasing or writing after so many times of either.
    ///
    /// # Safety
    /// There must be one, and nothing else may write to it.
    pub unsafe fn new(power: Option<u32>) -> Self {
        Self { power }
    }

    /// An installed model.
    ///
    /// # Safety
    /// It must be the one in use of a [`Store`](ocelli_slots::Store) that is the only one to write to the flash: it never writes to that model's slot.
    pub unsafe fn model(model: &Installed) -> &'static [u8] {
        // SAFETY: the store found the model in the flash, and the caller vouches that it stays as it is.
        unsafe { core::slice::from_raw_parts(MEMORY.cast::<u8>().add(model.offset), model.length) }
    }

    fn put(offset: usize, value: u32) {
        // SAFETY: callers give offsets in the flash; what is written to it is a command, and changes memory only as the command says.
        unsafe { MEMORY.byte_add(offset).write_volatile(value) }
    }

    /// Waits for the end of an operation on the sector or word at `offset`.
    fn wait(offset: usize) -> Result<(), Failure> {
        let status = loop {
            // SAFETY: as above; reading gives the status now.
            let status = unsafe { MEMORY.byte_add(offset).read_volatile() };
            if status & READY == READY {
                break status;
            }
        };
        Self::put(offset, CLEAR_STATUS);
        Self::put(offset, READ_MEMORY);
        if status & WRONG == 0 { Ok(()) } else { Err(Failure(NorFlashErrorKind::Other)) }
    }

    /// Whether the power lasts for another operation.
    fn has_power(&mut self) -> bool {
        match &mut self.power {
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
            None => true,
        }
    }
}

impl ErrorType for Nor {
    type Error = Failure;
}

impl ReadNorFlash for Nor {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Failure> {
        check_read(self, offset, bytes.len()).map_err(Failure)?;
        let from = self.bytes().get(offset as usize..).unwrap_or_default();
        bytes.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        Ok(())
    }

    fn capacity(&self) -> usize {
        LENGTH
    }
}

impl NorFlash for Nor {
    const WRITE_SIZE: usize = size_of::<u32>();
    const ERASE_SIZE: usize = SECTOR;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Failure> {
        check_erase(self, from, to).map_err(Failure)?;
        for sector in (from as usize..to as usize).step_by(SECTOR) {
            if !self.has_power() {
                crate::console::exit::<&str>(Ok(()));
            }
            Self::put(sector, ERASE_SECTOR);
            Self::put(sector, CONFIRM);
            Self::wait(sector)?;
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Failure> {
        check_write(self, offset, bytes.len()).map_err(Failure)?;
        let power = self.has_power();
        let mut offset = offset as usize;
        let mut rest = if power { bytes } else { bytes.get(..bytes.len() / 2).unwrap_or_default() };
        while let Some((buffer, after)) = rest.split_at_checked((BUFFER - offset % BUFFER).min(rest.len()))
            && let (words @ [_, ..], _) = buffer.as_chunks()
        {
            Self::put(offset, PROGRAM_BUFFER);
            Self::put(offset, command(words.len() as u32 - 1));
            for (index, word) in words.iter().enumerate() {
                Self::put(offset + index * size_of::<u32>(), u32::from_le_bytes(*word));
            }
            Self::put(offset, CONFIRM);
            Self::wait(offset)?;
            offset += buffer.len();
            rest = after;
        }
        if !power {
            crate::console::exit::<&str>(Ok(()));
        }
        Ok(())
    }
}

impl MappedFlash for Nor {
    fn bytes(&self) -> &[u8] {
        // SAFETY: the flash is there, reads as memory but for the time in which `&mut self` is borrowed, and nothing else writes to it.
        unsafe { core::slice::from_raw_parts(MEMORY.cast::<u8>(), LENGTH) }
    }
}

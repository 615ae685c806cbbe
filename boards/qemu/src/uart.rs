//! The machine's first serial port.

use core::convert::Infallible;

use embedded_io::{ErrorType, Read, Write};

/// Address of the port's registers, from the table of machines.
const REGISTERS: usize = match usize::from_str_radix(env!("OCELLI_UART"), 10) {
    Ok(address) => address,
    Err(_) => panic!("the build script gives a number"),
};

#[cfg(target_arch = "arm")]
mod registers {
    //! The UART of Arm's Cortex-M System Design Kit: words at multiples of four.
    pub const DATA: usize = 0;
    pub const STATE: usize = 1;
    pub const TRANSMIT_FULL: u32 = 1 << 0;
    pub const RECEIVE_FULL: u32 = 1 << 1;
    pub const CONTROL: usize = 2;
    pub const TRANSMIT_AND_RECEIVE: u32 = 0b11;
    pub const DIVIDER: usize = 4;
    /// The smallest; QEMU does not wait for bits.
    pub const FASTEST: u32 = 16;
}

/// The first serial port; QEMU's `-serial` says what is at its other end.
#[derive(Debug)]
pub struct Uart(());

impl Uart {
    /// Switches the port on.
    pub fn start() -> Self {
        #[cfg(target_arch = "arm")]
        {
            Self::write_register(registers::DIVIDER, registers::FASTEST);
            Self::write_register(registers::CONTROL, registers::TRANSMIT_AND_RECEIVE);
        }
        Self(())
    }

    #[cfg(target_arch = "arm")]
    fn write_register(index: usize, value: u32) {
        // SAFETY: the table of machines says that the port's registers are there; writing one has no effect on memory.
        unsafe { (REGISTERS as *mut u32).add(index).write_volatile(value) }
    }

    #[cfg(target_arch = "arm")]
    fn read_register(index: usize) -> u32 {
        // SAFETY: as above, for reading.
        unsafe { (REGISTERS as *const u32).add(index).read_volatile() }
    }

    #[cfg(target_arch = "arm")]
    fn take(&mut self) -> Option<u8> {
        let came = Self::read_register(registers::STATE) & registers::RECEIVE_FULL != 0;
        came.then(|| Self::read_register(registers::DATA) as u8)
    }

    #[cfg(target_arch = "arm")]
    fn put(&mut self, byte: u8) {
        while Self::read_register(registers::STATE) & registers::TRANSMIT_FULL != 0 {}
        Self::write_register(registers::DATA, byte.into());
    }

    /// As the arm one, for a 16550: byte registers, the line's status the fifth.
    #[cfg(target_arch = "riscv32")]
    fn take(&mut self) -> Option<u8> {
        // SAFETY: the table of machines says that the port's registers are there; reading them has no effect on memory.
        let came = unsafe { (REGISTERS as *const u8).add(5).read_volatile() } & 1 != 0;
        // SAFETY: as above.
        came.then(|| unsafe { (REGISTERS as *const u8).read_volatile() })
    }

    #[cfg(target_arch = "riscv32")]
    fn put(&mut self, byte: u8) {
        // SAFETY: as above, and writing has no effect on memory.
        unsafe {
            while (REGISTERS as *const u8).add(5).read_volatile() & (1 << 5) == 0 {}
            (REGISTERS as *mut u8).write_volatile(byte);
        }
    }
}

impl ErrorType for Uart {
    type Error = Infallible;
}

impl Read for Uart {
    /// Waits for a byte, and takes those that are there with it.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        let mut count = 0;
        for place in buffer {
            *place = loop {
                match self.take() {
                    Some(byte) => break byte,
                    None if count > 0 => return Ok(count),
                    None => {}
                }
            };
            count += 1;
        }
        Ok(count)
    }
}

impl Write for Uart {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        for &byte in bytes {
            self.put(byte);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

//! The nRF52840-DK's clock, LED and serial port. The HAL's `init` can panic and so is not called.

use cortex_m::Peripherals as Core;
use embassy_nrf::gpio::{Level, Output, OutputDrive};
use embassy_nrf::pac::{CLOCK, NVMC};
use embassy_nrf::uarte::{self, Uarte};
use embassy_nrf::{Peripherals, bind_interrupts, peripherals};
use embedded_io::{Read, Write};
use ocelli_app::{Calls, CycleCounter};

bind_interrupts!(struct Interrupts {
    UARTE0 => uarte::InterruptHandler<peripherals::UARTE0>;
});

/// Starts the board: 64 MHz from the crystal, the cache of flash, the serial port of the probe at 115,200 bits a second, LED 1, and the core's
/// counter of cycles.
pub fn start() -> (impl Read + Write, Output<'static>, CycleCounter) {
    // The internal oscillator is too inexact for a serial port.
    CLOCK.tasks_hfclkstart().write_value(1);
    while CLOCK.events_hfclkstarted().read() == 0 {}
    NVMC.icachecnf().write(|register| register.set_cacheen(true));

    // SAFETY: this runs once, and nothing else takes peripherals.
    let (chip, core) = unsafe { (Peripherals::steal(), Core::steal()) };
    // It is on while its pin is low.
    let led = Output::new(chip.P0_13, Level::High, OutputDrive::Standard);
    let uart = Uarte::new(chip.UARTE0, chip.P0_08, chip.P0_06, Interrupts, uarte::Config::default());
    let (mut transmit, mut receive) = uart.split();
    let port = Calls {
        read: move |byte: &mut [u8; 1]| receive.blocking_read(byte).is_ok(),
        write: move |bytes: &[u8]| transmit.blocking_write(bytes).is_ok(),
    };
    (port, led, CycleCounter::start(core.DCB, core.DWT))
}

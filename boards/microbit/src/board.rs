//! The micro:bit's clock, LED and serial port. The HAL's `init` can panic and so is not called; it has no driver for this chip's serial port.

use embassy_nrf::Peripherals;
use embassy_nrf::gpio::{Level, Output, OutputDrive};
use embassy_nrf::pac::uart::vals::{Baudrate, Enable};
use embassy_nrf::pac::{CLOCK, UART0};
use embedded_io::{Read, Write};
use ocelli_app::{Calls, NoCounter};

/// The pins that the probe on the board has its serial port at.
const TRANSMIT: u32 = 24;
const RECEIVE: u32 = 25;

/// Starts the board: its serial port at 115,200 bits a second, its LED, and no counter, since the chip has none.
pub fn start() -> (impl Read + Write, Output<'static>, NoCounter) {
    // The internal oscillator is too inexact for a serial port.
    CLOCK.tasks_hfclkstart().write_value(1);
    while CLOCK.events_hfclkstarted().read() == 0 {}

    // SAFETY: this runs once, and nothing else takes peripherals.
    let chip = unsafe { Peripherals::steal() };
    // The first of the 25 LEDs: its row is high, its column low while it is on.
    Output::new(chip.P0_13, Level::High, OutputDrive::Standard).persist();
    let led = Output::new(chip.P0_04, Level::High, OutputDrive::Standard);

    Output::new(chip.P0_24, Level::High, OutputDrive::Standard).persist();
    UART0.pseltxd().write_value(TRANSMIT);
    UART0.pselrxd().write_value(RECEIVE);
    UART0.baudrate().write(|register| register.set_baudrate(Baudrate::Baud115200));
    UART0.enable().write(|register| register.set_enable(Enable::Enabled));
    UART0.tasks_starttx().write_value(1);
    UART0.tasks_startrx().write_value(1);
    (Calls { read, write }, led, NoCounter)
}

fn read(byte: &mut [u8; 1]) -> bool {
    while UART0.events_rxdrdy().read() == 0 {}
    UART0.events_rxdrdy().write_value(0);
    *byte = [UART0.rxd().read().rxd()];
    true
}

fn write(bytes: &[u8]) -> bool {
    for &byte in bytes {
        UART0.events_txdrdy().write_value(0);
        UART0.txd().write(|register| register.set_txd(byte));
        while UART0.events_txdrdy().read() == 0 {}
    }
    true
}

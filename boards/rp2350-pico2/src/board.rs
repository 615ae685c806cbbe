//! The Raspberry Pi Pico 2's clocks, LED and serial port. The HAL's `init` can panic, so that what it would do is done to the registers.

use cortex_m::Peripherals as Core;
use embassy_rp::Peripherals;
use embassy_rp::gpio::{Level, Output};
use embassy_rp::pac::clocks::vals::{ClkPeriCtrlAuxsrc, ClkRefCtrlSrc, ClkSysCtrlAuxsrc, ClkSysCtrlSrc};
use embassy_rp::pac::xosc::vals::{CtrlFreqRange, Enable};
use embassy_rp::pac::{CLOCKS, IO_BANK0, PADS_BANK0, PLL_SYS, RESETS, UART0, XOSC};
use embedded_io::{Read, Write};
use ocelli_app::{Calls, CycleCounter};

/// UART0, in the selection of what a pin is for.
const UART: u8 = 2;

/// Starts the board: 150 MHz, a serial port at 115,200 bits a second, the LED, and the core's counter of cycles.
pub fn start() -> (impl Read + Write, Output<'static>, CycleCounter) {
    start_clocks();
    start_serial();
    // SAFETY: this runs once, and nothing else takes peripherals.
    let (chip, core) = unsafe { (Peripherals::steal(), Core::steal()) };
    let led = Output::new(chip.PIN_25, Level::Low);
    (Calls { read, write }, led, CycleCounter::start(core.DCB, core.DWT))
}

/// 150 MHz from the crystal of 12 MHz, which the serial port takes as it is.
fn start_clocks() {
    // At least 16 ms until the crystal is steady: 752 times 256 of its periods.
    XOSC.startup().write(|register| register.set_delay(47 * 16));
    XOSC.ctrl().write(|register| {
        register.set_freq_range(CtrlFreqRange::_1_15MHZ);
        register.set_enable(Enable::ENABLE);
    });
    while !XOSC.status().read().stable() {}
    CLOCKS.clk_ref_ctrl().modify(|register| register.set_src(ClkRefCtrlSrc::XOSC_CLKSRC));
    CLOCKS.clk_sys_ctrl().modify(|register| register.set_src(ClkSysCtrlSrc::CLK_REF));
    while CLOCKS.clk_sys_selected().read().0 != 1 << ClkSysCtrlSrc::CLK_REF as u32 {}

    RESETS.reset().modify(|register| register.set_pll_sys(true));
    RESETS.reset().modify(|register| {
        register.set_pll_sys(false);
        register.set_io_bank0(false);
        register.set_pads_bank0(false);
        register.set_uart0(false);
    });
    while !RESETS.reset_done().read().pll_sys() {}
    // 12 MHz * 125 / 5 / 2.
    PLL_SYS.cs().modify(|register| register.set_refdiv(1));
    PLL_SYS.fbdiv_int().write(|register| register.set_fbdiv_int(125));
    PLL_SYS.pwr().modify(|register| {
        register.set_pd(false);
        register.set_vcopd(false);
    });
    while !PLL_SYS.cs().read().lock() {}
    PLL_SYS.prim().write(|register| {
        register.set_postdiv1(5);
        register.set_postdiv2(2);
    });
    PLL_SYS.pwr().modify(|register| register.set_postdivpd(false));
    CLOCKS.clk_sys_ctrl().modify(|register| register.set_auxsrc(ClkSysCtrlAuxsrc::CLKSRC_PLL_SYS));
    CLOCKS.clk_sys_ctrl().modify(|register| register.set_src(ClkSysCtrlSrc::CLKSRC_CLK_SYS_AUX));
    while CLOCKS.clk_sys_selected().read().0 != 1 << ClkSysCtrlSrc::CLKSRC_CLK_SYS_AUX as u32 {}

    CLOCKS.clk_peri_ctrl().write(|register| {
        register.set_auxsrc(ClkPeriCtrlAuxsrc::XOSC_CLKSRC);
        register.set_enable(true);
    });
}

/// UART0 sends on GPIO 0 and receives on GPIO 1.
fn start_serial() {
    while !RESETS.reset_done().read().uart0() {}
    for pin in [0, 1] {
        IO_BANK0.gpio(pin).ctrl().write(|register| register.set_funcsel(UART));
        PADS_BANK0.gpio(pin).modify(|register| {
            register.set_ie(true);
            register.set_od(false);
            register.set_iso(false);
        });
    }
    // 12 MHz / 16 / 115,200 = 6 + 33 / 64.
    UART0.uartibrd().write(|register| register.set_baud_divint(6));
    UART0.uartfbrd().write(|register| register.set_baud_divfrac(33));
    UART0.uartlcr_h().write(|register| {
        register.set_wlen(3);
        register.set_fen(true);
    });
    UART0.uartcr().write(|register| {
        register.set_uarten(true);
        register.set_txe(true);
        register.set_rxe(true);
    });
}

fn read(byte: &mut [u8; 1]) -> bool {
    while UART0.uartfr().read().rxfe() {}
    *byte = [UART0.uartdr().read().data()];
    true
}

fn write(bytes: &[u8]) -> bool {
    for &byte in bytes {
        while UART0.uartfr().read().txff() {}
        UART0.uartdr().write(|register| register.set_data(byte));
    }
    true
}

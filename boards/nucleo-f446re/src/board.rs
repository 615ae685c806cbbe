//! The Nucleo-F446RE's clocks, LED and serial port. The HAL's `init` and its driver of serial ports can panic, so that what they would do is
//! done to the registers.

use cortex_m::Peripherals as Core;
use embassy_stm32::Peripherals;
use embassy_stm32::gpio::{Level, Output, Speed};
use embassy_stm32::pac::flash::vals::Latency;
use embassy_stm32::pac::gpio::vals::Moder;
use embassy_stm32::pac::rcc::vals::{Pllm, Plln, Pllp, Pllsrc, Ppre, Sw};
use embassy_stm32::pac::{FLASH, GPIOA, RCC, USART2};
use embedded_io::{Read, Write};
use ocelli_app::{Calls, CycleCounter};

/// Starts the board: 168 MHz, the serial port of the ST-LINK at 115,200 bits a second, LED 2, and the core's counter of cycles.
pub fn start() -> (impl Read + Write, Output<'static>, CycleCounter) {
    start_clocks();
    start_serial();
    // SAFETY: this runs once, and nothing else takes peripherals.
    let (chip, core) = unsafe { (Peripherals::steal(), Core::steal()) };
    let led = Output::new(chip.PA5, Level::Low, Speed::Low);
    (Calls { read, write }, led, CycleCounter::start(core.DCB, core.DWT))
}

/// 168 MHz from the internal oscillator of 16 MHz: the fastest without over-drive. The bus of the serial port has a quarter of it.
fn start_clocks() {
    FLASH.acr().modify(|register| {
        register.set_latency(Latency::WS5);
        register.set_prften(true);
        register.set_icen(true);
        register.set_dcen(true);
    });
    RCC.pllcfgr().modify(|register| {
        register.set_pllsrc(Pllsrc::HSI);
        register.set_pllm(Pllm::DIV8);
        register.set_plln(Plln::MUL168);
        register.set_pllp(Pllp::DIV2);
    });
    RCC.cr().modify(|register| register.set_pllon(true));
    while !RCC.cr().read().pllrdy() {}
    RCC.cfgr().modify(|register| {
        register.set_ppre1(Ppre::DIV4);
        register.set_ppre2(Ppre::DIV2);
    });
    RCC.cfgr().modify(|register| register.set_sw(Sw::PLL1_P));
    while RCC.cfgr().read().sws() != Sw::PLL1_P {}
}

/// USART2 sends on PA2 and receives on PA3.
fn start_serial() {
    RCC.ahb1enr().modify(|register| register.set_gpioaen(true));
    RCC.apb1enr().modify(|register| register.set_usart2en(true));
    for pin in [2, 3] {
        GPIOA.afr(0).modify(|register| register.set_afr(pin, 7));
        GPIOA.moder().modify(|register| register.set_moder(pin, Moder::ALTERNATE));
    }
    // 42 MHz / 115,200.
    USART2.brr().write(|register| register.set_brr(365));
    USART2.cr1().write(|register| {
        register.set_ue(true);
        register.set_te(true);
        register.set_re(true);
    });
}

fn read(byte: &mut [u8; 1]) -> bool {
    while !USART2.sr().read().rxne() {}
    // This also clears an overrun, which the packet's checksum shows.
    *byte = [USART2.dr().read().dr() as u8];
    true
}

fn write(bytes: &[u8]) -> bool {
    for &byte in bytes {
        while !USART2.sr().read().txe() {}
        USART2.dr().write(|register| register.set_dr(byte.into()));
    }
    true
}

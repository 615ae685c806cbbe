//! The 32F746G-Discovery's clocks, caches, LED and serial port. The HAL's `init` and its driver of serial ports can panic, so that what they
//! would do is done to the registers.

use cortex_m::Peripherals as Core;
use embassy_stm32::Peripherals;
use embassy_stm32::gpio::{Level, Output, Speed};
use embassy_stm32::pac::flash::vals::Latency;
use embassy_stm32::pac::gpio::vals::Moder;
use embassy_stm32::pac::rcc::vals::{Pllm, Plln, Pllp, Pllsrc, Ppre, Sw, Usart1sel};
use embassy_stm32::pac::{FLASH, GPIOA, GPIOB, RCC, USART1};
use embedded_io::{Read, Write};
use ocelli_app::{Calls, CycleCounter};

/// Starts the board: 180 MHz, caches, the serial port of the ST-LINK at 115,200 bits a second, LED 1, and the core's counter of cycles.
pub fn start() -> (impl Read + Write, Output<'static>, CycleCounter) {
    start_clocks();
    start_serial();
    // SAFETY: this runs once, and nothing else takes peripherals.
    let (chip, mut core) = unsafe { (Peripherals::steal(), Core::steal()) };
    core.SCB.enable_icache();
    core.SCB.enable_dcache(&mut core.CPUID);
    RCC.ahb1enr().modify(|register| register.set_gpioien(true));
    let led = Output::new(chip.PI1, Level::Low, Speed::Low);
    (Calls { read, write }, led, CycleCounter::start(core.DCB, core.DWT))
}

/// 180 MHz from the internal oscillator of 16 MHz: the fastest without over-drive.
fn start_clocks() {
    FLASH.acr().modify(|register| {
        register.set_latency(Latency::WS5);
        register.set_prften(true);
        register.set_arten(true);
    });
    RCC.pllcfgr().modify(|register| {
        register.set_pllsrc(Pllsrc::HSI);
        register.set_pllm(Pllm::DIV8);
        register.set_plln(Plln::MUL180);
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

/// USART1 sends on PA9 and receives on PB7, by the internal oscillator.
fn start_serial() {
    RCC.dckcfgr2().modify(|register| register.set_usart1sel(Usart1sel::HSI));
    RCC.ahb1enr().modify(|register| {
        register.set_gpioaen(true);
        register.set_gpioben(true);
    });
    RCC.apb2enr().modify(|register| register.set_usart1en(true));
    GPIOA.afr(1).modify(|register| register.set_afr(1, 7));
    GPIOA.moder().modify(|register| register.set_moder(9, Moder::ALTERNATE));
    GPIOB.afr(0).modify(|register| register.set_afr(7, 7));
    GPIOB.moder().modify(|register| register.set_moder(7, Moder::ALTERNATE));
    // 16 MHz / 115,200.
    USART1.brr().write(|register| register.set_brr(139));
    USART1.cr1().write(|register| {
        register.set_ue(true);
        register.set_te(true);
        register.set_re(true);
    });
}

fn read(byte: &mut [u8; 1]) -> bool {
    while !USART1.isr().read().rxne() {
        // The packet's checksum shows that bytes are missing.
        USART1.icr().write(|register| register.set_ore(true));
    }
    *byte = [USART1.rdr().read().dr() as u8];
    true
}

fn write(bytes: &[u8]) -> bool {
    for &byte in bytes {
        while !USART1.isr().read().txe() {}
        USART1.tdr().write(|register| register.set_dr(byte.into()));
    }
    true
}

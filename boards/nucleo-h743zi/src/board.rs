//! The Nucleo-H743ZI's clocks, caches, LED and serial port. The HAL's `init` and its driver of serial ports can panic, so that what they would
//! do is done to the registers.

use cortex_m::Peripherals as Core;
use embassy_stm32::Peripherals;
use embassy_stm32::gpio::{Level, Output, Speed};
use embassy_stm32::pac::gpio::vals::Moder;
use embassy_stm32::pac::pwr::vals::Vos;
use embassy_stm32::pac::rcc::vals::{
    Hpre, Plldiv, Pllm, Plln, Pllrge, Pllsrc, Pllvcosel, Ppre, Sw, Usart234578sel,
};
use embassy_stm32::pac::{FLASH, GPIOD, PWR, RCC, USART3};
use embedded_io::{Read, Write};
use ocelli_app::{Calls, CycleCounter};

/// Starts the board: 400 MHz, caches, the serial port of the ST-LINK at 115,200 bits a second, LED 1, and the core's counter of cycles.
pub fn start() -> (impl Read + Write, Output<'static>, CycleCounter) {
    start_clocks();
    start_serial();
    // SAFETY: this runs once, and nothing else takes peripherals.
    let (chip, mut core) = unsafe { (Peripherals::steal(), Core::steal()) };
    core.SCB.enable_icache();
    core.SCB.enable_dcache(&mut core.CPUID);
    RCC.ahb4enr().modify(|register| register.set_gpioben(true));
    let led = Output::new(chip.PB0, Level::Low, Speed::Low);
    (Calls { read, write }, led, CycleCounter::start(core.DCB, core.DWT))
}

/// 400 MHz from the internal oscillator of 64 MHz, and 200 MHz for flash and memory.
fn start_clocks() {
    PWR.cr3().modify(|register| {
        register.set_scuen(true);
        register.set_ldoen(true);
        register.set_bypass(false);
    });
    PWR.d3cr().modify(|register| register.set_vos(Vos::SCALE1));
    while !PWR.d3cr().read().vosrdy() {}
    FLASH.acr().modify(|register| {
        register.set_latency(2);
        register.set_wrhighfreq(2);
    });
    RCC.pllckselr().modify(|register| {
        register.set_pllsrc(Pllsrc::HSI);
        register.set_divm(0, Pllm::DIV4);
    });
    RCC.pllcfgr().modify(|register| {
        register.set_pllvcosel(0, Pllvcosel::WIDE_VCO);
        register.set_pllrge(0, Pllrge::RANGE8);
        register.set_divpen(0, true);
    });
    RCC.plldivr(0).modify(|register| {
        register.set_plln(Plln::MUL50);
        register.set_pllp(Plldiv::DIV2);
    });
    RCC.cr().modify(|register| register.set_pllon(0, true));
    while !RCC.cr().read().pllrdy(0) {}
    RCC.d1cfgr().modify(|register| {
        register.set_hpre(Hpre::DIV2);
        register.set_d1ppre(Ppre::DIV2);
    });
    RCC.d2cfgr().modify(|register| {
        register.set_d2ppre1(Ppre::DIV2);
        register.set_d2ppre2(Ppre::DIV2);
    });
    RCC.d3cfgr().modify(|register| register.set_d3ppre(Ppre::DIV2));
    RCC.cfgr().modify(|register| register.set_sw(Sw::PLL1_P));
    while RCC.cfgr().read().sws() != Sw::PLL1_P {}
}

/// USART3 sends on PD8 and receives on PD9, by the internal oscillator.
fn start_serial() {
    RCC.d2ccip2r().modify(|register| register.set_usart234578sel(Usart234578sel::HSI));
    RCC.ahb4enr().modify(|register| register.set_gpioden(true));
    RCC.apb1lenr().modify(|register| register.set_usart3en(true));
    for pin in [8, 9] {
        GPIOD.afr(1).modify(|register| register.set_afr(pin - 8, 7));
        GPIOD.moder().modify(|register| register.set_moder(pin, Moder::ALTERNATE));
    }
    // 64 MHz / 115,200.
    USART3.brr().write(|register| register.set_brr(556));
    USART3.cr1().write(|register| {
        register.set_ue(true);
        register.set_te(true);
        register.set_re(true);
    });
}

fn read(byte: &mut [u8; 1]) -> bool {
    while !USART3.isr().read().rxne() {
        // The packet's checksum shows that bytes are missing.
        USART3.icr().write(|register| register.set_ore(true));
    }
    *byte = [USART3.rdr().read().dr() as u8];
    true
}

fn write(bytes: &[u8]) -> bool {
    for &byte in bytes {
        while !USART3.isr().read().txe() {}
        USART3.tdr().write(|register| register.set_dr(byte.into()));
    }
    true
}

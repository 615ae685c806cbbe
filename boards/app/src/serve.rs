//! The loop of a board.

use core::convert::Infallible;

use embedded_hal::digital::{ErrorType, OutputPin, StatefulOutputPin};
use embedded_io::{Read, Write};
use ocelli::{Engine, Model};

use crate::{Counter, ModelSlots, SerialRows, run_frame};

/// Binds the model and serves it ([`serve`]); gives in words why it stopped.
pub fn classify<'m: 'a, 'a, const OPERATORS: u64, const N: usize>(
    model: Model<'m>,
    arena: &'a mut [u8],
    port: impl Read + Write,
    led: &mut impl StatefulOutputPin,
    counter: &impl Counter,
) -> &'static str {
    let mut rows = SerialRows::<_, N>::new(port, &model);
    let Ok(mut engine) = Engine::<OPERATORS>::new(model, arena) else {
        return "the engine refuses the model";
    };
    match serve(&mut engine, &mut rows, led, counter) {
        Ok(never) => match never {},
        Err(_) => "the serial port failed",
    }
}

/// Classifies the frames that come over a serial port, answers with their outputs, and toggles an LED after each. With the feature `defmt` it
/// logs what each frame gave and took.
///
/// # Errors
/// If the port fails; else it does not return.
pub fn serve<'m: 'a, 'a, P: Read + Write, S: ModelSlots, const N: usize, const OPERATORS: u64>(
    engine: &mut Engine<'m, 'a, OPERATORS>,
    rows: &mut SerialRows<P, N, S>,
    led: &mut impl StatefulOutputPin,
    counter: &impl Counter,
) -> Result<Infallible, P::Error> {
    loop {
        match run_frame(engine, rows, counter) {
            Ok((output, count)) => {
                log(&output, counter, count);
                rows.answer(&output, counter, count)?;
            }
            Err(_) => rows.fail()?,
        }
        // What an LED shows is no reason to stop.
        let _ = led.toggle();
    }
}

#[cfg(feature = "defmt")]
fn log<C: Counter>(output: &ocelli::Output<'_>, _: &C, count: u64) {
    defmt::info!("{} in {=u64} {=str}", output, count, C::UNIT.name());
}

#[cfg(not(feature = "defmt"))]
fn log<C: Counter>(_: &ocelli::Output<'_>, _: &C, _: u64) {}

/// For boards without an LED.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoLed;

impl ErrorType for NoLed {
    type Error = Infallible;
}

impl OutputPin for NoLed {
    fn set_low(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl StatefulOutputPin for NoLed {
    fn is_set_high(&mut self) -> Result<bool, Infallible> {
        Ok(false)
    }

    fn is_set_low(&mut self) -> Result<bool, Infallible> {
        Ok(true)
    }
}

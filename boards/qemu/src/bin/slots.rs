//! The image whose model lies in one of two slots of flash, and can be replaced over the serial port, as `ocelli install` does. For tests, a file `power`
//! has the number of flash operations after which its power ends.
#![no_std]
#![no_main]

use core::fmt;

use ocelli::{Engine, EngineError, Model, ModelError, operator};
use ocelli_app::{FlashSlots, NoLed, SerialRows, row_and_model_buffer, serve};
use ocelli_qemu::counter::InstructionCounter;
use ocelli_qemu::files;
use ocelli_qemu::memory::Arena;
use ocelli_qemu::nor::{Failure as FlashFailure, Nor, SECTOR};
use ocelli_qemu::uart::Uart;
use ocelli_slots::{SlotError, Store, Trust};

/// Pixels of a row, at most.
const WIDEST: usize = 256;

/// A slot: models of up to a mebibyte.
const SLOT_BYTES: usize = 4 * SECTOR;

const ARENA_BYTES: usize = 1 << 20;

static ARENA: Arena<ARENA_BYTES> = Arena::new();

#[ocelli_qemu::entry]
fn main() -> ! {
    ocelli_qemu::console::exit(run())
}

/// What ends the image.
enum Failure {
    Taken,
    Key,
    Slots(SlotError<FlashFailure>),
    Model(ModelError),
    Engine(EngineError),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken => f.write_str("memory and counter are taken"),
            Self::Key => f.write_str("what the image was built with is no public key"),
            Self::Slots(error) => error.fmt(f),
            Self::Model(error) => write!(f, "the model is refused: {error}"),
            Self::Engine(error) => error.fmt(f),
        }
    }
}

fn fits(model: &Model<'_>) -> bool {
    model.arena_bytes() <= ARENA_BYTES
}

/// After how many operations the power ends, as the file `power` says.
fn power() -> Option<u32> {
    let mut text = [0; 16];
    let text = files::exists(c"power").then(|| files::read(c"power", &mut text).ok()).flatten()?;
    core::str::from_utf8(text).ok()?.trim().parse().ok()
}

/// Writes to the machine's test device, whose value for that is a reset.
fn restart() {
    const TEST_DEVICE: *mut u32 = 0x10_0000 as *mut u32;
    const RESET: u32 = 0x7777;
    // SAFETY: QEMU's RISC-V machine has the device there.
    unsafe { TEST_DEVICE.write_volatile(RESET) }
}

#[cfg(not(feature = "signed"))]
fn trust() -> Option<impl Trust> {
    Some(ocelli_slots::Anyone)
}

/// The holder of the key that the image was built with.
#[cfg(feature = "signed")]
fn trust() -> Option<impl Trust> {
    let mut key = [0; ocelli_slots::KEY_BYTES];
    let (digits, _) = env!("OCELLI_PUBLIC_KEY").as_bytes().as_chunks::<2>();
    for (byte, digits) in key.iter_mut().zip(digits) {
        *byte = u8::from_str_radix(core::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    (digits.len() == key.len()).then(|| ocelli_slots::SignedBy::new(&key)).flatten()
}

/// Serves rows and models until QEMU ends.
#[expect(unreachable_code, reason = "QEMU's serial port never fails, so that serving never ends")]
fn run() -> Result<(), Failure> {
    let counter = InstructionCounter::start().ok_or(Failure::Taken)?;
    let arena = ARENA.take().ok_or(Failure::Taken)?;
    // SAFETY: this image runs on the machine that has the flash, and makes it once.
    let flash = unsafe { Nor::new(power()) };
    let trust = trust().ok_or(Failure::Key)?;
    let store = Store::open(flash, 0, SLOT_BYTES, trust, fits).map_err(Failure::Slots)?;
    // SAFETY: it is the model in use, and no other store writes to the flash.
    let model = store.in_use().map(|installed| Model::open(unsafe { Nor::model(&installed) }));
    let model = model.transpose().map_err(Failure::Model)?;
    let slots = FlashSlots { store, fits, restart };
    let mut rows = SerialRows::<_, { row_and_model_buffer(WIDEST) }, _>::with_slots(
        Uart::start(),
        model.as_ref(),
        slots,
    );
    let Some(model) = model else { match rows.wait_for_model() {} };
    let mut engine = Engine::<{ operator::ALL }>::new(model, arena).map_err(Failure::Engine)?;
    match serve(&mut engine, &mut rows, &mut NoLed, &counter) {}
}

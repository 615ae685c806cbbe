//! Models that come over a serial line, for boards whose model lies in a slot of its own.

use ocelli::Model;
use ocelli_serial::{MODEL_PART, Offer, Reason, Refusal};
use ocelli_slots::{MappedFlash, PART_BYTES, Progress, SlotError, Store, Trust};

const _: () = assert!(MODEL_PART == PART_BYTES, "what comes in a packet is written at once");

/// Takes models that are to replace the one that runs.
pub trait ModelSlots {
    /// Makes room for a model.
    ///
    /// # Errors
    /// Why it is refused.
    fn begin(&mut self, offer: &Offer) -> Result<Progress, Refusal>;

    /// Takes a part of it.
    ///
    /// # Errors
    /// Why it, or with the last part the model, is refused.
    fn part(&mut self, number: usize, bytes: &[u8]) -> Result<Progress, Refusal>;

    /// Starts the board again, after a model was installed.
    fn restart(&mut self);
}

/// Of boards whose model is part of their program.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSlots;

impl ModelSlots for NoSlots {
    fn begin(&mut self, _: &Offer) -> Result<Progress, Refusal> {
        Err(Refusal::new(Reason::Slots, 0, 0))
    }

    fn part(&mut self, _: usize, _: &[u8]) -> Result<Progress, Refusal> {
        Err(Refusal::new(Reason::Slots, 0, 0))
    }

    fn restart(&mut self) {}
}

/// Two slots of a flash.
#[derive(Debug)]
pub struct FlashSlots<F, T> {
    /// The slots.
    pub store: Store<F, T>,
    /// Whether the board has the memory and the kernels for a model.
    pub fits: fn(&Model<'_>) -> bool,
    /// Starts the board again.
    pub restart: fn(),
}

impl<F: MappedFlash, T: Trust> ModelSlots for FlashSlots<F, T> {
    fn begin(&mut self, offer: &Offer) -> Result<Progress, Refusal> {
        let length = usize::try_from(offer.length.get()).unwrap_or(usize::MAX);
        self.store.begin(ocelli_slots::Offer { length, signature: offer.signature }).map_err(refusal)
    }

    fn part(&mut self, number: usize, bytes: &[u8]) -> Result<Progress, Refusal> {
        self.store.write(number, bytes, self.fits).map_err(refusal)
    }

    fn restart(&mut self) {
        (self.restart)();
    }
}

fn refusal<E>(error: SlotError<E>) -> Refusal {
    let (reason, expected, found) = match error {
        SlotError::Room { room, found } => (Reason::Room, room, found),
        SlotError::Part { expected, found } => (Reason::Part, expected, found),
        SlotError::Size { expected, found } => (Reason::Size, expected, found),
        SlotError::Model(_) => (Reason::Model, 0, 0),
        SlotError::Signature => (Reason::Signature, 0, 0),
        SlotError::Unfit => (Reason::Unfit, 0, 0),
        SlotError::Layout | SlotError::Flash(_) => (Reason::Flash, 0, 0),
    };
    Refusal::new(reason, expected, found)
}

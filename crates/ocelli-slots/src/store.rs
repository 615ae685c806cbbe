//! The two slots: which model is the newer one, and writing another.

use embedded_storage::nor_flash::NorFlash;
use ocelli_format::Model;
use zerocopy::IntoBytes;

use crate::header::Header;
use crate::{HEADER_BYTES, SIGNATURE_BYTES, SlotError, Trust};

/// Bytes of a part of a model, but for the last one.
pub const PART_BYTES: usize = 256;

/// A flash that can be read as memory, as models are when they run.
pub trait MappedFlash: NorFlash {
    /// All of the flash, from the offset 0 of [`NorFlash`] on; at least 16-byte aligned.
    fn bytes(&self) -> &[u8];
}

/// A model that is in a slot and may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Installed {
    /// Its slot, 0 or 1.
    pub slot: usize,
    /// How many models were installed before it.
    pub sequence: u32,
    /// Offset of its first byte in the flash.
    pub offset: usize,
    /// Its bytes.
    pub length: usize,
}

/// What an update begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Bytes of the model.
    pub length: usize,
    /// Its signature; zeros where it has none.
    pub signature: [u8; SIGNATURE_BYTES],
}

/// How far an update is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Progress {
    /// The part of this number is the next.
    Next(usize),
    /// The model is installed: the newest when the slots are opened again.
    Installed(Installed),
}

/// An update that has begun.
#[derive(Clone, Copy, Debug)]
struct Update {
    offer: Offer,
    slot: usize,
    sequence: u32,
    /// Bytes of the model that are written.
    written: usize,
}

/// Two slots of a flash.
#[derive(Debug)]
pub struct Store<F, T> {
    flash: F,
    trust: T,
    start: usize,
    slot_bytes: usize,
    in_use: Option<Installed>,
    update: Option<Update>,
}

impl<F: MappedFlash, T: Trust> Store<F, T> {
    /// Looks for the newest model that may run in the two slots of `slot_bytes` bytes from the offset `start` of the flash on: its checksum and version are
    /// right, `trust` accepts it, and `fits` says that the board can run it. There may be none ([`Self::in_use`]).
    ///
    /// # Errors
    /// [`SlotError::Layout`], if slots cannot lie there.
    pub fn open(
        flash: F,
        start: usize,
        slot_bytes: usize,
        trust: T,
        fits: impl Fn(&Model<'_>) -> bool,
    ) -> Result<Self, SlotError<F::Error>> {
        let end = slot_bytes.checked_mul(2).and_then(|bytes| bytes.checked_add(start));
        let aligned =
            [start, slot_bytes].into_iter().all(|bytes| bytes.checked_rem(F::ERASE_SIZE) == Some(0));
        let writable =
            [HEADER_BYTES, PART_BYTES].into_iter().all(|bytes| bytes.checked_rem(F::WRITE_SIZE) == Some(0));
        let inside = end.is_some_and(|end| end <= flash.capacity().min(flash.bytes().len()));
        if !(aligned && writable && inside && slot_bytes > HEADER_BYTES) {
            return Err(SlotError::Layout);
        }
        let mut store = Self { flash, trust, start, slot_bytes, in_use: None, update: None };
        let newest = |found: Option<Installed>, slot| match (found, store.look(slot, &fits)) {
            // Numbers wrap: of two that follow each other, the first is less than half of all numbers behind.
            (Some(first), Some(second)) if second.sequence.wrapping_sub(first.sequence) >= 1 << 31 => {
                Some(first)
            }
            (found, another) => another.or(found),
        };
        store.in_use = [0, 1].into_iter().fold(None, newest);
        Ok(store)
    }

    /// The model that was the newest when the slots were opened: the one that the board runs. No update writes to its slot.
    pub fn in_use(&self) -> Option<Installed> {
        self.in_use
    }

    /// The flash.
    pub fn flash(&self) -> &F {
        &self.flash
    }

    /// Begins an update: erases the slot that is not in use. An update that was not finished is forgotten.
    ///
    /// # Errors
    /// If a slot has no room for the model, or the flash fails.
    pub fn begin(&mut self, offer: Offer) -> Result<Progress, SlotError<F::Error>> {
        self.update = None;
        let room = self.slot_bytes - HEADER_BYTES;
        if offer.length > room {
            return Err(SlotError::Room { room, found: offer.length });
        }
        let (slot, sequence) =
            self.in_use.map_or((0, 0), |model| (1 - model.slot.min(1), model.sequence.wrapping_add(1)));
        let from = self.offset(slot);
        self.flash.erase(address(from), address(from + self.slot_bytes)).map_err(SlotError::Flash)?;
        self.update = Some(Update { offer, slot, sequence, written: 0 });
        Ok(Progress::Next(0))
    }

    /// Writes part `number` of the model: [`PART_BYTES`] bytes, or what is left. The part before the next one may come again: it is not written again. With
    /// the last part the model is installed, if it may run and `fits` says that the board can run it.
    ///
    /// # Errors
    /// If the part is not the next one, has not its size, or the flash fails; with the last part, if the model is refused. After a refusal, and
    /// where the flash failed, the update has to begin again.
    pub fn write(
        &mut self,
        number: usize,
        bytes: &[u8],
        fits: impl Fn(&Model<'_>) -> bool,
    ) -> Result<Progress, SlotError<F::Error>> {
        let update = self.update.ok_or(SlotError::Part { expected: 0, found: number })?;
        let expected = update.written / PART_BYTES;
        if number.checked_add(1) == Some(expected) {
            return Ok(Progress::Next(expected));
        }
        if number != expected {
            return Err(SlotError::Part { expected, found: number });
        }
        let size = PART_BYTES.min(update.offer.length - update.written);
        if bytes.len() != size {
            return Err(SlotError::Size { expected: size, found: bytes.len() });
        }
        // As erased, so that the last part can be written in the units of the flash.
        let mut part = [0xFF; PART_BYTES];
        part.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        let rounded = part.get(..size.next_multiple_of(F::WRITE_SIZE)).unwrap_or(&part);
        let offset = self.offset(update.slot) + HEADER_BYTES + update.written;
        self.update = None;
        self.flash.write(address(offset), rounded).map_err(SlotError::Flash)?;
        let update = Update { written: update.written + size, ..update };
        if update.written == update.offer.length {
            return self.install(update, fits).map(Progress::Installed);
        }
        self.update = Some(update);
        Ok(Progress::Next(expected + 1))
    }

    /// Looks at what was written as a whole and writes the header, which makes it the newest model.
    fn install(
        &mut self,
        update: Update,
        fits: impl Fn(&Model<'_>) -> bool,
    ) -> Result<Installed, SlotError<F::Error>> {
        let length = u32::try_from(update.offer.length).unwrap_or(u32::MAX);
        let header = Header::new(update.sequence, length, update.offer.signature);
        self.check(&header, update.slot, fits)?;
        let offset = self.offset(update.slot);
        self.flash.write(address(offset), header.as_bytes()).map_err(SlotError::Flash)?;
        self.look(update.slot, |_| true).ok_or(SlotError::Layout)
    }

    /// The model in a slot, if there is one that may run.
    fn look(&self, slot: usize, fits: impl Fn(&Model<'_>) -> bool) -> Option<Installed> {
        let header = Header::read(self.slot(slot))?;
        let length = self.check(&header, slot, fits).ok()?;
        let offset = self.offset(slot) + HEADER_BYTES;
        Some(Installed { slot, sequence: header.sequence(), offset, length })
    }

    /// Whether the model in a slot with that header may run: its bytes.
    fn check(
        &self,
        header: &Header,
        slot: usize,
        fits: impl Fn(&Model<'_>) -> bool,
    ) -> Result<usize, SlotError<F::Error>> {
        let bytes = header.model(self.slot(slot)).ok_or(SlotError::Layout)?;
        let model = Model::open(bytes).map_err(SlotError::Model)?;
        if !self.trust.accepts(bytes, header.signature()) {
            return Err(SlotError::Signature);
        }
        if fits(&model) { Ok(bytes.len()) } else { Err(SlotError::Unfit) }
    }

    fn offset(&self, slot: usize) -> usize {
        self.start + slot.min(1) * self.slot_bytes
    }

    fn slot(&self, slot: usize) -> &[u8] {
        let from = self.offset(slot);
        self.flash.bytes().get(from..from + self.slot_bytes).unwrap_or_default()
    }
}

/// Offsets lie within the flash, whose addresses are 32 bits.
fn address(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}

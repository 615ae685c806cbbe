//! Updates over a flash that behaves as NOR flash does, with the power cut at every erase and write.

use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};
use ocelli_format::{ALIGNMENT, Model, ModelError};
use ocelli_slots::{
    Anyone, HEADER_BYTES, Installed, MappedFlash, Offer, PART_BYTES, Progress, SIGNATURE_BYTES, SlotError,
    Store, Trust,
};

const SECTOR: usize = 512;
const START: usize = SECTOR;
const SLOT: usize = 18 * SECTOR;
/// Before and after the slots, what is not theirs.
const LENGTH: usize = START + 2 * SLOT + SECTOR;
const NOT_THEIRS: u8 = 0x5A;

/// Flash in which writing clears bits and erasing sets those of sectors, with a power supply that ends after so many of either.
#[derive(Clone)]
struct Flash {
    memory: Vec<u8>,
    start: usize,
    operations: usize,
    power: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    Bounds,
    Power,
}

impl NorFlashError for Failure {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

impl Flash {
    fn new() -> Self {
        let mut memory = vec![0; LENGTH + ALIGNMENT];
        let start = memory.as_ptr().align_offset(ALIGNMENT);
        memory.fill(NOT_THEIRS);
        Self { memory, start, operations: 0, power: usize::MAX }
    }

    fn contents(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..][..LENGTH]
    }

    /// How much of an operation on so many bytes is done before the power ends.
    fn done(&mut self, bytes: usize) -> Result<usize, usize> {
        self.operations += 1;
        if self.operations <= self.power { Ok(bytes) } else { Err(bytes / 2) }
    }
}

impl ErrorType for Flash {
    type Error = Failure;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Failure> {
        let from = self.contents().get(offset as usize..).and_then(|rest| rest.get(..bytes.len()));
        bytes.copy_from_slice(from.ok_or(Failure::Bounds)?);
        Ok(())
    }

    fn capacity(&self) -> usize {
        LENGTH
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = 8;
    const ERASE_SIZE: usize = SECTOR;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Failure> {
        assert!([from, to].iter().all(|offset| (*offset as usize).is_multiple_of(SECTOR)));
        for from in (from as usize..to as usize).step_by(SECTOR) {
            let done = self.done(SECTOR);
            let (Ok(bytes) | Err(bytes)) = done;
            self.contents()[from..from + bytes].fill(0xFF);
            done.map_err(|_| Failure::Power)?;
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Failure> {
        assert!([offset as usize, bytes.len()].iter().all(|number| number.is_multiple_of(Self::WRITE_SIZE)));
        let done = self.done(bytes.len());
        let (Ok(count) | Err(count)) = done;
        let to = self.contents().get_mut(offset as usize..).and_then(|rest| rest.get_mut(..count));
        for (to, from) in to.ok_or(Failure::Bounds)?.iter_mut().zip(bytes) {
            *to &= from;
        }
        done.map(|_| ()).map_err(|_| Failure::Power)
    }
}

impl MappedFlash for Flash {
    fn bytes(&self) -> &[u8] {
        &self.memory[self.start..][..LENGTH]
    }
}

fn golden(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../ocelli-format/tests/golden");
    std::fs::read(format!("{folder}/{name}.ocelli")).expect("it is there")
}

const NO_SIGNATURE: [u8; SIGNATURE_BYTES] = [0; SIGNATURE_BYTES];

fn any(_: &Model<'_>) -> bool {
    true
}

fn open(flash: Flash) -> Store<Flash, Anyone> {
    Store::open(flash, START, SLOT, Anyone, any).expect("slots can lie there")
}

/// Installs a model whole.
fn install<T: Trust>(
    store: &mut Store<Flash, T>,
    model: &[u8],
    signature: [u8; SIGNATURE_BYTES],
) -> Result<Installed, SlotError<Failure>> {
    let mut progress = store.begin(Offer { length: model.len(), signature })?;
    for (number, part) in model.chunks(PART_BYTES).enumerate() {
        assert_eq!(progress, Progress::Next(number));
        progress = store.write(number, part, any)?;
    }
    match progress {
        Progress::Installed(installed) => Ok(installed),
        Progress::Next(_) => panic!("{progress:?}"),
    }
}

/// What the board starts with.
fn running(store: &Store<Flash, impl Trust>) -> Option<&[u8]> {
    let Installed { offset, length, .. } = store.in_use()?;
    Some(&store.flash().bytes()[offset..offset + length])
}

#[test]
fn whenever_the_power_is_cut_the_board_starts_with_the_old_model_or_the_new_one() {
    let (old, new) = (golden("v2"), golden("v2_attention"));
    for first in [None, Some(&old)] {
        let mut before = open(Flash::new());
        if let Some(first) = first {
            install(&mut before, first, NO_SIGNATURE).expect("it fits");
        }
        let before = before.flash().clone();
        let (mut power, mut outcomes) = (0, [0, 0]);
        loop {
            let mut store = open(Flash { operations: 0, power, ..before.clone() });
            let whole = install(&mut store, &new, NO_SIGNATURE);
            let after = Flash { operations: 0, power: usize::MAX, ..store.flash().clone() };
            let mut store = open(after);
            let found = running(&store).map(<[u8]>::to_vec);
            let is_new = found.as_ref() == Some(&new);
            assert!(is_new || found.as_ref() == first, "power for {power} operations");
            outcomes[usize::from(is_new)] += 1;
            // The same update again, after the cut.
            install(&mut store, &new, NO_SIGNATURE).expect("it fits");
            assert_eq!(running(&open(store.flash().clone())), Some(&new[..]));
            if whole.is_ok() {
                break;
            }
            assert_eq!(whole, Err(SlotError::Flash(Failure::Power)));
            power += 1;
        }
        // Sectors, parts and the header; only with the last write there is a new model.
        assert_eq!(outcomes, [SLOT / SECTOR + new.len().div_ceil(PART_BYTES) + 1, 1]);
    }
}

#[test]
fn models_take_turns_and_what_is_not_theirs_stays() {
    let models = [golden("v2"), golden("v2_attention"), golden("v2_dsp")];
    let mut store = open(Flash::new());
    assert_eq!(store.in_use(), None);
    for (count, model) in models.iter().cycle().take(7).enumerate() {
        let installed = install(&mut store, model, NO_SIGNATURE).expect("it fits");
        assert_eq!((installed.slot, installed.sequence), (count % 2, count as u32));
        store = open(store.flash().clone());
        assert_eq!((store.in_use(), running(&store)), (Some(installed), Some(&model[..])));
    }
    let flash = store.flash().bytes();
    assert!(flash[..START].iter().chain(&flash[START + 2 * SLOT..]).all(|&byte| byte == NOT_THEIRS));
}

#[test]
fn where_the_newer_model_is_damaged_the_other_one_runs() {
    let (old, new) = (golden("v2"), golden("v2_attention"));
    let mut store = open(Flash::new());
    install(&mut store, &old, NO_SIGNATURE).expect("it fits");
    let mut store = open(store.flash().clone());
    let installed = install(&mut store, &new, NO_SIGNATURE).expect("it fits");
    assert_eq!(running(&store), Some(&old[..]), "it runs until the board starts again");
    let store = open(store.flash().clone());
    for at in (installed.offset - HEADER_BYTES..installed.offset + installed.length).step_by(37) {
        let mut flash = store.flash().clone();
        flash.contents()[at] ^= 0x10;
        assert_eq!(running(&open(flash)), Some(&old[..]), "byte {at}");
    }
    // Both damaged: nothing runs, and a model can be installed.
    let mut flash = store.flash().clone();
    for slot in 0..2 {
        flash.contents()[START + slot * SLOT + HEADER_BYTES + 100] ^= 1;
    }
    let mut store = open(flash);
    assert_eq!(store.in_use(), None);
    install(&mut store, &new, NO_SIGNATURE).expect("it fits");
    assert_eq!(running(&open(store.flash().clone())), Some(&new[..]));
}

#[test]
fn parts_come_in_order_and_the_last_one_again() {
    let model = golden("v2");
    let mut store = open(Flash::new());
    let early = store.write(0, &model[..PART_BYTES], any);
    assert_eq!(early, Err(SlotError::Part { expected: 0, found: 0 }));
    let offer = |length| Offer { length, signature: NO_SIGNATURE };
    store.begin(offer(model.len())).expect("it fits");
    let part = |number: usize| &model[number * PART_BYTES..][..PART_BYTES];
    assert_eq!(store.write(0, part(0), any), Ok(Progress::Next(1)));
    assert_eq!(store.write(0, part(0), any), Ok(Progress::Next(1)));
    assert_eq!(store.write(2, part(2), any), Err(SlotError::Part { expected: 1, found: 2 }));
    let short = store.write(1, &part(1)[1..], any);
    assert_eq!(short, Err(SlotError::Size { expected: PART_BYTES, found: PART_BYTES - 1 }));
    assert_eq!(store.write(1, part(1), any), Ok(Progress::Next(2)));
    let room = SLOT - HEADER_BYTES;
    assert_eq!(store.begin(offer(room + 1)), Err(SlotError::Room { room, found: room + 1 }));
    let again = install(&mut store, &model, NO_SIGNATURE);
    assert!(again.is_ok(), "{again:?}");
}

#[test]
fn what_cannot_run_is_not_installed() {
    let old = golden("v2");
    let mut store = open(Flash::new());
    install(&mut store, &old, NO_SIGNATURE).expect("it fits");
    let mut store = open(store.flash().clone());
    let mut damaged = golden("v2_attention");
    damaged[200] ^= 1;
    let refused = [
        (damaged, SlotError::Model(ModelError::Checksum)),
        (b"no model at all".to_vec(), SlotError::Model(ModelError::Magic)),
    ];
    for (bytes, expected) in refused {
        assert_eq!(install(&mut store, &bytes, NO_SIGNATURE), Err(expected));
    }
    assert!(matches!(
        install(&mut store, &golden("v1"), NO_SIGNATURE),
        Err(SlotError::Model(ModelError::Version { .. }))
    ));
    // A board that has not the memory.
    let small = |model: &Model<'_>| model.file_bytes() <= old.len();
    let new = golden("v2_attention");
    store.begin(Offer { length: new.len(), signature: NO_SIGNATURE }).expect("it fits the slot");
    let parts = new.chunks(PART_BYTES).enumerate();
    let last = parts.map(|(number, part)| store.write(number, part, small)).last();
    assert_eq!(last, Some(Err(SlotError::Unfit)));
    assert_eq!(running(&open(store.flash().clone())), Some(&old[..]));
}

#[test]
fn slots_lie_where_flash_is_erased() {
    for (start, slot_bytes) in
        [(1, SLOT), (START, SLOT + 8), (START, 0), (START, LENGTH), (usize::MAX - SECTOR + 1, SLOT)]
    {
        let found = Store::open(Flash::new(), start, slot_bytes, Anyone, any);
        assert!(matches!(found, Err(SlotError::Layout)), "{start} {slot_bytes}");
    }
}

#[test]
fn a_board_that_trusts_a_key_runs_what_it_signed() {
    use ed25519_dalek::{Signer, SigningKey};
    use ocelli_slots::SignedBy;

    let model = golden("v2");
    let (ours, theirs) = (SigningKey::from_bytes(&[7; 32]), SigningKey::from_bytes(&[8; 32]));
    let trust = SignedBy::new(ours.verifying_key().as_bytes()).expect("it is a key");
    let open = |flash| Store::open(flash, START, SLOT, trust.clone(), any).expect("slots can lie there");
    let mut store = open(Flash::new());
    for signature in [NO_SIGNATURE, theirs.sign(&model).to_bytes()] {
        assert_eq!(install(&mut store, &model, signature), Err(SlotError::Signature));
    }
    let installed = install(&mut store, &model, ours.sign(&model).to_bytes());
    let installed = installed.expect("it is signed");
    assert_eq!(open(store.flash().clone()).in_use(), Some(installed));
    // A model that was put there without the key, checksums and all.
    let mut flash = store.flash().clone();
    let mut other = unsigned(&golden("v2_attention"));
    flash.contents().copy_from_slice(other.contents());
    assert_eq!(open(flash).in_use(), None);
}

/// A flash with a model that nobody signed.
fn unsigned(model: &[u8]) -> Flash {
    let mut store = open(Flash::new());
    install(&mut store, model, NO_SIGNATURE).expect("it fits");
    store.flash().clone()
}

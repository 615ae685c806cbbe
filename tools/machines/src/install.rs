//! Installing a model in a slot of a board's flash, over its serial port.

use std::io::{Read, Write};

use ocelli_serial::{Kind, MODEL_PART, Offer, Packet, Reason, Refusal};
use zerocopy::IntoBytes;
use zerocopy::little_endian::U32;

use crate::serial::{Board, CALLS, RETRIES, Reply, SendError};

/// Bytes of a signature.
pub const SIGNATURE_BYTES: usize = 64;

impl<P: Read + Write> Board<P> {
    /// Sends a packed model, and its signature or zeros, again where packets were lost or damaged, and calls `progress` with the bytes that are stored. Then
    /// the model is installed and the board starts again.
    ///
    /// # Errors
    /// If the board does not answer or refuses the model, or the line is too bad. The board then runs the model that it had.
    pub fn install(
        &mut self,
        model: &[u8],
        signature: [u8; SIGNATURE_BYTES],
        mut progress: impl FnMut(usize),
    ) -> Result<(), SendError> {
        let length = u32::try_from(model.len()).map_err(|_| SendError::Model { bytes: model.len() })?;
        let parts: Vec<&[u8]> = model.chunks(MODEL_PART).collect();
        if parts.len() > usize::from(u16::MAX) {
            return Err(SendError::Model { bytes: model.len() });
        }
        let offer = Offer { length: U32::new(length), signature };
        // The part to send; before the first, the offer.
        let mut next: Option<u16> = None;
        let (mut repeats, mut silent) = (0, 0);
        loop {
            let part = next.and_then(|number| Some((number, *parts.get(usize::from(number))?)));
            self.send(match part {
                Some((number, payload)) => Packet { kind: Kind::Part, number, payload },
                None => Packet { kind: Kind::Offer, number: 0, payload: offer.as_bytes() },
            })?;
            let reply = self.receive()?;
            silent = if reply.is_none() { silent + 1 } else { 0 };
            let wrong = match reply {
                None if silent == CALLS => return Err(SendError::Silent(self.limit())),
                None => "the board did not answer".to_owned(),
                Some(Ok(Reply::Installed)) => return Ok(()),
                Some(Ok(Reply::Stored(number))) if number < parts.len() => {
                    progress(number * MODEL_PART);
                    next = u16::try_from(number).ok();
                    continue;
                }
                Some(Ok(Reply::Refused(_, refusal))) => {
                    next = mended(next, refusal)?;
                    refusal.to_string()
                }
                Some(Ok(_)) => "it answered something else".to_owned(),
                Some(Err(damage)) => damage.to_string(),
            };
            repeats += 1;
            if repeats > RETRIES {
                return Err(SendError::Line(wrong));
            }
            self.drain()?;
        }
    }
}

/// What to send after a refusal, where sending again mends it.
fn mended(sent: Option<u16>, refusal: Refusal) -> Result<Option<u16>, SendError> {
    match Reason::from_code(refusal.reason) {
        Some(Reason::Damaged) => Ok(sent),
        // Where nothing is expected the update has to begin again.
        Some(Reason::Part) => Ok(u16::try_from(refusal.expected.get()).ok().filter(|&expected| expected > 0)),
        _ => Err(SendError::Install(refusal)),
    }
}

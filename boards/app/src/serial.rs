//! Rows over a serial line, as `ocelli send` sends them.

use core::convert::Infallible;

use embedded_io::{Read, Write};
use ocelli::{Model, Output, PixelFormat, RunError};
use ocelli_serial::{
    Damage, Done, Info, Kind, MODEL_PART, OUTPUT_PART, OVERHEAD, Offer, PROTOCOL, Packet, Pixels, Reason,
    Receiver, Refusal, encoded_len,
};
use ocelli_slots::Progress;
use zerocopy::little_endian::{F32, U16, U32, U64};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

use crate::{Counter, FrameError, FrameSource, ModelSlots, NoSlots, Row};

/// The bytes that [`SerialRows`] needs for rows of so many pixels or values: a packet of three bytes each.
pub const fn row_buffer(values: usize) -> usize {
    3 * values + OVERHEAD
}

/// As [`row_buffer`], where models come, too.
pub const fn row_and_model_buffer(values: usize) -> usize {
    if 3 * values > MODEL_PART { row_buffer(values) } else { MODEL_PART + OVERHEAD }
}

/// Takes rows from a port that reads and writes bytes, and answers as the protocol says. `N` is the size of a packet, at most: see
/// [`row_buffer`]. Where the board has slots for models, it takes models, too.
#[derive(Debug)]
pub struct SerialRows<P, const N: usize, S = NoSlots> {
    port: P,
    receiver: Receiver<N>,
    info: Info,
    slots: S,
}

impl<P: Read + Write, const N: usize> SerialRows<P, N> {
    /// Takes rows for that model from that port.
    pub fn new(port: P, model: &Model<'_>) -> Self {
        Self::with_slots(port, Some(model), NoSlots)
    }
}

impl<P: Read + Write, const N: usize, S: ModelSlots> SerialRows<P, N, S> {
    /// Takes rows for that model, and other models, from that port. Without a model, rows are refused.
    pub fn with_slots(port: P, model: Option<&Model<'_>>, slots: S) -> Self {
        let info = model.map_or(Info { protocol: PROTOCOL, ..Info::new_zeroed() }, info);
        Self { port, receiver: Receiver::default(), info, slots }
    }

    /// Sends the output of a frame and what it took by `counter`.
    ///
    /// # Errors
    /// If the port fails.
    pub fn answer<C: Counter>(&mut self, output: &Output<'_>, _: &C, count: u64) -> Result<(), P::Error> {
        for (number, part) in (0..).zip(output.values().chunks(OUTPUT_PART)) {
            self.send(Packet { kind: Kind::Output, number, payload: part.as_bytes() })?;
        }
        let done = Done { unit: C::UNIT as u8, count: U64::new(count) };
        self.send(Packet { kind: Kind::Done, number: 0, payload: done.as_bytes() })
    }

    /// Refuses the frame as a whole: the next row is the first of one.
    ///
    /// # Errors
    /// If the port fails.
    pub fn fail(&mut self) -> Result<(), P::Error> {
        self.refuse(0, Refusal::new(Reason::Inference, 0, 0))
    }

    /// Answers until the power ends or a model is installed, for boards that have none.
    ///
    /// # Errors
    /// If the port fails.
    pub fn wait_for_model(&mut self) -> Result<Infallible, P::Error> {
        loop {
            // Without a model every row is refused.
            let _ = self.next_row(0)?;
        }
    }

    /// Takes what the receiver has of a model.
    fn update(&mut self, kind: Kind, number: u16) -> Result<(), P::Error> {
        let bytes = self.receiver.payload();
        let progress = match kind {
            Kind::Part => self.slots.part(number.into(), bytes),
            _ => match Offer::ref_from_bytes(bytes) {
                Ok(offer) => self.slots.begin(offer),
                Err(_) => Err(Refusal::new(Reason::Size, size_of::<Offer>(), bytes.len())),
            },
        };
        match progress {
            Ok(Progress::Next(next)) => {
                self.send(Packet::empty(Kind::Stored, u16::try_from(next).unwrap_or(u16::MAX)))
            }
            Ok(Progress::Installed(_)) => {
                self.send(Packet::empty(Kind::Installed, 0))?;
                self.slots.restart();
                Ok(())
            }
            Err(refusal) => self.refuse(refusal.expected.get() as usize, refusal),
        }
    }

    fn refuse(&mut self, expected: usize, refusal: Refusal) -> Result<(), P::Error> {
        let number = u16::try_from(expected).unwrap_or(u16::MAX);
        self.send(Packet { kind: Kind::Refused, number, payload: refusal.as_bytes() })
    }

    fn send(&mut self, packet: Packet<'_>) -> Result<(), P::Error> {
        let mut buffer = [0; encoded_len(OUTPUT_PART)];
        // What a board sends is no longer than a part of an output, so it fits.
        if let Some(bytes) = packet.encode(&mut buffer) {
            self.port.write_all(bytes)?;
            self.port.flush()?;
        }
        Ok(())
    }

    /// Waits for the next packet: its kind and number, or what is wrong with it. Its payload stays in the receiver.
    fn receive(&mut self) -> Result<(Kind, u16), Damage> {
        loop {
            let mut byte = [0];
            // A byte that the port could not read is one that the checksum misses.
            if !matches!(self.port.read(&mut byte), Ok(1)) {
                continue;
            }
            let [byte] = byte;
            if let Some(packet) = self.receiver.feed(byte) {
                return packet.map(|packet| (packet.kind, packet.number));
            }
        }
    }

    /// The format of a row of that kind; `None` for int8 values.
    fn format(&self, kind: Kind) -> Result<Option<PixelFormat>, Reason> {
        let (format, least) = match kind {
            Kind::Values => return Ok(None),
            Kind::Gray => (PixelFormat::Gray, Pixels::Gray),
            Kind::Rgb888 => (PixelFormat::Rgb888, Pixels::Color),
            Kind::Rgb565 => (PixelFormat::Rgb565, Pixels::Color),
            _ => return Err(Reason::Kind),
        };
        if self.info.pixels < least as u8 { Err(Reason::Pixels) } else { Ok(Some(format)) }
    }

    /// Whether a packet is the row that is expected, or the first of a frame, and of the right size: its number and format.
    fn check(
        &self,
        expected: usize,
        packet: Result<(Kind, u16), Damage>,
    ) -> Result<(usize, Option<PixelFormat>), Refusal> {
        let (kind, number) = packet.map_err(|damage| match damage {
            Damage::Kind(_) => Refusal::new(Reason::Kind, 0, 0),
            Damage::Large { room } => Refusal::new(Reason::Large, room.saturating_sub(OVERHEAD), 0),
            Damage::Length { .. } | Damage::Encoding | Damage::Checksum => {
                Refusal::new(Reason::Damaged, 0, 0)
            }
        })?;
        let format = self.format(kind).map_err(|reason| Refusal::new(reason, 0, 0))?;
        if self.info.height.get() == 0 {
            return Err(Refusal::new(Reason::Empty, 0, 0));
        }
        let number = usize::from(number);
        if number != expected && number != 0 {
            return Err(Refusal::new(Reason::Number, expected, number));
        }
        let pixel = format.map_or(usize::from(self.info.channels.get()), PixelFormat::bytes);
        let size = usize::from(self.info.width.get()).wrapping_mul(pixel);
        let found = self.receiver.payload().len();
        if found == size { Ok((number, format)) } else { Err(Refusal::new(Reason::Size, size, found)) }
    }
}

impl<P: Read + Write, const N: usize, S: ModelSlots> FrameSource for SerialRows<P, N, S> {
    type Error = P::Error;

    fn next_row(&mut self, expected: usize) -> Result<(usize, Row<'_>), Self::Error> {
        let (number, format) = loop {
            let packet = self.receive();
            if matches!(packet, Ok((Kind::Ask, _))) {
                let info = self.info;
                self.send(Packet { kind: Kind::Info, number: 0, payload: info.as_bytes() })?;
                continue;
            }
            if let Ok((kind @ (Kind::Offer | Kind::Part), number)) = packet {
                self.update(kind, number)?;
                continue;
            }
            match self.check(expected, packet) {
                Ok(row) => break row,
                Err(refusal) => self.refuse(expected, refusal)?,
            }
        };
        let bytes = self.receiver.payload();
        let row = match format {
            Some(format) => Row::Pixels(bytes, format),
            // Every byte is an int8 value, so there is no error.
            None => Row::Values(<[i8]>::ref_from_bytes(bytes).unwrap_or_default()),
        };
        Ok((number, row))
    }

    fn taken(&mut self, next: usize) -> Result<(), Self::Error> {
        self.send(Packet::empty(Kind::Ready, u16::try_from(next).unwrap_or(u16::MAX)))
    }

    fn refused(&mut self, expected: usize, _: RunError) -> Result<(), FrameError<Self::Error>> {
        // The size was right, so the pixels were wrong.
        self.refuse(expected, Refusal::new(Reason::Pixels, 0, 0)).map_err(FrameError::Source)
    }
}

/// What the board says of its model.
fn info(model: &Model<'_>) -> Info {
    let (input, output) = (model.input(), model.output());
    let pixels = match (model.preprocessing(), input.channels) {
        (Some(_), 1) => Pixels::Gray,
        (Some(_), 3) => Pixels::Color,
        _ => Pixels::None,
    };
    Info {
        protocol: PROTOCOL,
        pixels: pixels as u8,
        height: U16::new(input.height),
        width: U16::new(input.width),
        channels: U16::new(input.channels),
        outputs: U32::new(u32::try_from(output.len()).unwrap_or(u32::MAX)),
        scale: F32::new(output.scale),
        zero_point: output.zero_point,
        model: U32::new(model.checksum()),
    }
}

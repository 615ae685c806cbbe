//! Sending rows of pictures to a board over its serial port, and getting outputs back.

use std::io::{self, ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use ocelli_serial::{
    Damage, Done, Info, Kind, OUTPUT_PART, PROTOCOL, Packet, Reason, Receiver, Refusal, Unit, encoded_len,
};
use zerocopy::FromBytes;

/// Bytes of a packet from a board, at most.
const LARGEST: usize = 1024;

/// How often in a frame something may go wrong that sending again can mend.
pub(crate) const RETRIES: usize = 16;

/// How often a packet is sent to a board that does not answer.
pub(crate) const CALLS: usize = 3;

/// Why a board gave no output.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The port failed.
    #[error("the port failed: {0}")]
    Port(#[from] io::Error),
    /// The board does not answer.
    #[error(
        "the board does not answer within {} s: are port and speed right, and does its firmware take rows?",
        .0.as_secs_f32()
    )]
    Silent(Duration),
    /// The board speaks another version of the protocol.
    #[error("the board's protocol is version {found}, this program's {PROTOCOL}: build its firmware again")]
    Protocol {
        /// The board's.
        found: u8,
    },
    /// The board refuses what sending again does not mend.
    #[error("the board refuses row {row}: {refusal}")]
    Refused {
        /// The row that was sent.
        row: usize,
        /// Why.
        refusal: Refusal,
    },
    /// The board refuses a model.
    #[error("the board refuses the model, and keeps the one that it has: {0}")]
    Install(Refusal),
    /// A model has more parts than the protocol can count.
    #[error("the model has {bytes} bytes, more than can be sent")]
    Model {
        /// Its bytes.
        bytes: usize,
    },
    /// Too many packets were lost or damaged.
    #[error(
        "the line is too bad: {RETRIES} packets were lost or damaged, the last because {0}; try a lower speed or a shorter cable"
    )]
    Line(String),
    /// The board answered with what is no answer.
    #[error("the board answered {0:?}, which is no answer to that")]
    Answer(Kind),
    /// The frame is not rows of equal size, or more than a frame can have.
    #[error("the frame has {bytes} bytes, which are not {rows} rows")]
    Frame {
        /// Its bytes.
        bytes: usize,
        /// Rows that the board's model takes.
        rows: usize,
    },
}

/// A frame to send.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// What its rows are: int8 values or pixels.
    pub kind: Kind,
    /// All rows, the first one first.
    pub bytes: &'a [u8],
}

/// What a board gave for a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The output's int8 values.
    pub output: Vec<i8>,
    /// What the inference took, without waiting for rows.
    pub count: u64,
    /// What `count` counts.
    pub unit: Unit,
    /// Packets that were sent again.
    pub repeats: usize,
}

/// A board behind a port.
#[derive(Debug)]
pub struct Board<P> {
    port: P,
    receiver: Receiver<LARGEST>,
    limit: Duration,
}

/// What came from a board.
pub(crate) enum Reply {
    Ready(usize),
    Refused(usize, Refusal),
    Info(Info),
    Output(usize, Vec<i8>),
    Done(Done),
    Stored(usize),
    Installed,
}

impl<P: Read + Write> Board<P> {
    /// A board behind a port whose reads end, by a timeout, after a fraction of a second. It may be silent for `limit`.
    pub fn new(port: P, limit: Duration) -> Self {
        Self { port, receiver: Receiver::default(), limit }
    }

    /// How long it may be silent.
    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    /// Asks what model is there.
    ///
    /// # Errors
    /// If the board does not answer, or speaks another version.
    pub fn info(&mut self) -> Result<Info, SendError> {
        for _ in 0..CALLS {
            // Whatever came before on the line ends here.
            self.port.write_all(&[0])?;
            self.send(Packet::empty(Kind::Ask, 0))?;
            match self.receive()? {
                Some(Ok(Reply::Info(info))) if info.protocol == PROTOCOL => return Ok(info),
                Some(Ok(Reply::Info(info))) => return Err(SendError::Protocol { found: info.protocol }),
                // The answer to something sent before, or damaged, or none.
                Some(Ok(_) | Err(_)) | None => {}
            }
        }
        Err(SendError::Silent(self.limit))
    }

    /// Sends the rows of a frame, again where they were lost or damaged, and gives the output.
    ///
    /// # Errors
    /// If the board does not answer or refuses the rows, or the line is too bad.
    pub fn run(&mut self, info: &Info, frame: Frame<'_>) -> Result<Answer, SendError> {
        let rows = usize::from(info.height.get());
        let size = frame.bytes.len().checked_div(rows).unwrap_or(0);
        if size == 0 || size * rows != frame.bytes.len() {
            return Err(SendError::Frame { bytes: frame.bytes.len(), rows });
        }
        let mut output: Vec<i8> = Vec::new();
        let (mut row, mut repeats, mut silent) = (0, 0, 0);
        loop {
            if row == 0 {
                output.clear();
            }
            let payload = frame.bytes.get(row * size..(row + 1) * size).unwrap_or_default();
            self.send(Packet { kind: frame.kind, number: u16::try_from(row).unwrap_or(u16::MAX), payload })?;
            // The parts of an output come without being asked for.
            let reply = loop {
                match self.receive()? {
                    Some(Ok(Reply::Output(start, part))) if start == output.len() => output.extend(part),
                    reply => break reply,
                }
            };
            silent = if reply.is_none() { silent + 1 } else { 0 };
            let wrong = match reply {
                None if silent == CALLS => return Err(SendError::Silent(self.limit)),
                None => "the board did not answer".to_owned(),
                Some(Ok(Reply::Ready(next))) if next < rows => {
                    row = next;
                    continue;
                }
                Some(Ok(Reply::Done(done))) if output.len() == info.outputs.get() as usize => {
                    let unit = Unit::from_code(done.unit).unwrap_or(Unit::None);
                    return Ok(Answer { output, count: done.count.get(), unit, repeats });
                }
                Some(Ok(Reply::Refused(next, refusal))) => {
                    if !matches!(Reason::from_code(refusal.reason), Some(Reason::Damaged | Reason::Number)) {
                        return Err(SendError::Refused { row, refusal });
                    }
                    row = if next < rows { next } else { 0 };
                    refusal.to_string()
                }
                Some(Ok(_)) => {
                    row = 0;
                    "a part of the output was lost".to_owned()
                }
                Some(Err(damage)) => damage.to_string(),
            };
            repeats += 1;
            if repeats > RETRIES {
                return Err(SendError::Line(wrong));
            }
            self.drain()?;
        }
    }

    /// Takes what is still on its way, so that the next packet that comes is the answer to the next one sent.
    pub(crate) fn drain(&mut self) -> Result<(), SendError> {
        let mut bytes = [0; 256];
        loop {
            match self.port.read(&mut bytes) {
                Ok(0) => return Err(SendError::Port(ErrorKind::UnexpectedEof.into())),
                Ok(_) => {}
                Err(error) if is_timeout(&error) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    pub(crate) fn send(&mut self, packet: Packet<'_>) -> Result<(), SendError> {
        let mut buffer = vec![0; encoded_len(packet.payload.len())];
        let large = || io::Error::new(ErrorKind::InvalidInput, "a row has more than 65,535 bytes");
        let bytes = packet.encode(&mut buffer).ok_or_else(large)?;
        self.port.write_all(bytes)?;
        Ok(self.port.flush()?)
    }

    /// The next packet, damaged or not; `None` where the board stays silent.
    pub(crate) fn receive(&mut self) -> Result<Option<Result<Reply, Damage>>, SendError> {
        let start = Instant::now();
        while start.elapsed() < self.limit {
            let mut byte = [0];
            match self.port.read(&mut byte) {
                Ok(1) => {}
                Ok(_) => return Err(SendError::Port(ErrorKind::UnexpectedEof.into())),
                Err(error) if is_timeout(&error) => continue,
                Err(error) => return Err(error.into()),
            }
            let [byte] = byte;
            if let Some(packet) = self.receiver.feed(byte) {
                return match packet {
                    Ok(packet) => reply(&packet).map(|reply| Some(Ok(reply))),
                    Err(damage) => Ok(Some(Err(damage))),
                };
            }
        }
        Ok(None)
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// What a whole packet says.
fn reply(packet: &Packet<'_>) -> Result<Reply, SendError> {
    let number = usize::from(packet.number);
    let wrong = || SendError::Answer(packet.kind);
    Ok(match packet.kind {
        Kind::Ready => Reply::Ready(number),
        Kind::Refused => {
            Reply::Refused(number, Refusal::read_from_bytes(packet.payload).map_err(|_| wrong())?)
        }
        Kind::Info => {
            // Another version's may have another size.
            let found = packet.payload.first().copied().unwrap_or(0);
            Reply::Info(Info::read_from_bytes(packet.payload).map_err(|_| SendError::Protocol { found })?)
        }
        Kind::Output => Reply::Output(
            number * OUTPUT_PART,
            packet.payload.iter().map(|&value| value.cast_signed()).collect(),
        ),
        Kind::Done => Reply::Done(Done::read_from_bytes(packet.payload).map_err(|_| wrong())?),
        Kind::Stored => Reply::Stored(number),
        Kind::Installed => Reply::Installed,
        kind => return Err(SendError::Answer(kind)),
    })
}

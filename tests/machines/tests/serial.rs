//! Rows over the serial port of machines: the host's bytes, whatever happens on the line.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use ocelli::Target;
use ocelli_machine_tests::{PackedModel, attention_sample, quantize_float, root};
use ocelli_machines::machine;
use ocelli_machines::qemu::Served;
use ocelli_machines::serial::{Answer, Board, Frame, SendError};
use ocelli_serial::{Kind, Reason, Unit};

const LIMIT: Duration = Duration::from_secs(20);

fn digits() -> PackedModel {
    let network = quantize_float(&root().join("models/digits/mobilenet_v2_digits.onnx"));
    network.and_then(|network| network.packed(Target::Portable)).unwrap_or_else(|error| panic!("{error}"))
}

fn served(name: &str, model: &PackedModel) -> (Served, TcpStream) {
    let machine = machine(name).expect("the table has it");
    Served::start(machine, model.bytes()).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn expected(model: &PackedModel, inputs: &[u8]) -> Vec<i8> {
    model.run_on_host(inputs).iter().map(|value| value.cast_signed()).collect()
}

/// Sends frames of int8 values and compares the outputs with the host's; gives the answers.
fn send(port: impl Read + Write, model: &PackedModel, frames: u32) -> Result<Vec<Answer>, SendError> {
    let mut board = Board::new(port, LIMIT);
    let info = board.info()?;
    assert_eq!(info.model.get(), model.model().checksum());
    let inputs = model.inputs(frames);
    let length = model.model().input().len();
    let answers: Result<Vec<Answer>, SendError> = inputs
        .chunks_exact(length)
        .map(|bytes| board.run(&info, Frame { kind: Kind::Values, bytes }))
        .collect();
    let answers = answers?;
    let outputs: Vec<i8> = answers.iter().flat_map(|answer| answer.output.clone()).collect();
    assert_eq!(outputs, expected(model, &inputs));
    Ok(answers)
}

#[test]
fn every_kind_of_serial_port_gives_the_hosts_bytes() {
    let model = digits();
    for name in ["m0", "m4", "m33", "m55", "rv32"] {
        let (_served, port) = served(name, &model);
        let answers = send(port, &model, 2).unwrap_or_else(|error| panic!("{name}: {error}"));
        for answer in answers {
            assert_eq!((answer.unit, answer.repeats), (Unit::Instructions, 0), "{name}");
            assert!(answer.count > 100_000, "{name}: {answer:?}");
        }
    }
}

#[test]
fn what_was_lost_or_damaged_is_sent_again() {
    /// A line that loses or damages a byte of every so many that the host sends or receives.
    struct Bad {
        port: TcpStream,
        sent: usize,
        received: usize,
        lose: bool,
    }
    const PERIOD: usize = 1500;
    impl Write for Bad {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut passed = Vec::new();
            for &byte in bytes {
                self.sent += 1;
                match self.sent % PERIOD {
                    0 if self.lose => {}
                    0 => passed.push(byte ^ 0x10),
                    _ => passed.push(byte),
                }
            }
            self.port.write_all(&passed)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            self.port.flush()
        }
    }
    impl Read for Bad {
        fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
            let count = self.port.read(bytes)?;
            for byte in &mut bytes[..count] {
                self.received += 1;
                if self.received.is_multiple_of(PERIOD / 4) {
                    *byte ^= 0x10;
                }
            }
            Ok(count)
        }
    }
    let model = digits();
    let (_served, port) = served("m4", &model);
    for lose in [false, true] {
        let port = Bad { port: port.try_clone().expect("a socket"), sent: 0, received: 0, lose };
        let mut board = Board::new(port, Duration::from_secs(2));
        let info = board.info().unwrap_or_else(|error| panic!("{error}"));
        let bytes = model.inputs(1);
        let mut repeats = 0;
        for _ in 0..6 {
            let answer = board.run(&info, Frame { kind: Kind::Values, bytes: &bytes });
            let answer = answer.unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(answer.output, expected(&model, &bytes));
            repeats += answer.repeats;
        }
        assert!(repeats > 2, "{repeats}");
    }
}

#[test]
fn rows_that_do_not_fit_are_refused_and_the_next_frame_runs() {
    let model = attention_sample();
    let (_served, port) = served("m4", &model);
    let mut board = Board::new(port.try_clone().expect("a socket"), LIMIT);
    let info = board.info().unwrap_or_else(|error| panic!("{error}"));
    let input = model.model();
    let input = input.input();
    let rows = usize::from(input.height);
    let reason = |result: Result<Answer, SendError>| match result {
        Err(SendError::Refused { refusal, .. }) => (Reason::from_code(refusal.reason), refusal.to_string()),
        other => panic!("{other:?}"),
    };
    let wide = vec![0; (input.row_len() + 1) * rows];
    let (found, message) = reason(board.run(&info, Frame { kind: Kind::Values, bytes: &wide }));
    assert_eq!(found, Some(Reason::Size));
    assert!(
        message.contains(&format!("{} bytes, the model takes {}", input.row_len() + 1, input.row_len())),
        "{message}"
    );
    let huge = vec![0; 5000 * rows];
    let (found, message) = reason(board.run(&info, Frame { kind: Kind::Values, bytes: &huge }));
    assert_eq!((found, message.contains("3072 bytes")), (Some(Reason::Large), true), "{message}");
    let pixels = vec![0; usize::from(input.width) * 3 * rows];
    let (found, _) = reason(board.run(&info, Frame { kind: Kind::Rgb888, bytes: &pixels }));
    assert_eq!(found, Some(Reason::Pixels));
    let (found, _) = reason(board.run(&info, Frame { kind: Kind::Ready, bytes: &pixels }));
    assert_eq!(found, Some(Reason::Kind));
    let odd = board.run(&info, Frame { kind: Kind::Values, bytes: &pixels[..rows.max(2) - 1] });
    assert!(matches!(odd, Err(SendError::Frame { .. })), "{odd:?}");
    // Half a frame, then another program's whole one.
    let line = |number: u16| {
        let row = model.inputs(1)[..input.row_len()].to_vec();
        let mut buffer = vec![0; ocelli_serial::encoded_len(row.len())];
        ocelli_serial::Packet { kind: Kind::Values, number, payload: &row }
            .encode(&mut buffer)
            .expect("room")
            .to_vec()
    };
    for number in 0..(rows / 2).min(3) {
        (&port).write_all(&line(number as u16)).expect("it writes");
    }
    std::thread::sleep(Duration::from_millis(500));
    send(port, &model, 2).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_refused_model_and_a_silent_board_are_told() {
    let machine = machine("m4").expect("the table has it");
    let mut damaged = digits().bytes().to_vec();
    damaged[200] ^= 1;
    let message = match Served::start(machine, &damaged) {
        Err(error) => error.to_string(),
        // QEMU opened the port before the firmware ended.
        Ok((mut served, port)) => {
            let asked = Board::new(port, Duration::from_secs(2)).info();
            assert!(asked.is_err(), "{asked:?}");
            served.ended().expect("the firmware ends").to_string()
        }
    };
    assert!(message.contains("checksum does not match"), "{message}");

    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let near = TcpStream::connect(listener.local_addr().expect("a socket")).expect("a socket");
    let _far = listener.accept().expect("a socket");
    near.set_read_timeout(Some(Duration::from_millis(20))).expect("a socket");
    let silent = Board::new(near, Duration::from_millis(100)).info().expect_err("nobody answers");
    assert!(silent.to_string().contains("does not answer"), "{silent}");
}

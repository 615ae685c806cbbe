//! A model in flash of its own, replaced over the serial port: whenever the power is cut, the board starts with the old model or the new one.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use ocelli_machine_tests::root;
use ocelli_machines::install::SIGNATURE_BYTES;
use ocelli_machines::machine;
use ocelli_machines::qemu::Served;
use ocelli_machines::serial::{Board, Frame, SendError};
use ocelli_serial::{Kind, MODEL_PART, Reason};

const LIMIT: Duration = Duration::from_secs(20);

fn golden(name: &str) -> Vec<u8> {
    let path = root().join(format!("crates/ocelli-format/tests/golden/{name}.ocelli"));
    fs::read(path).expect("it is there")
}

/// The checksum that a packed model states of itself.
fn checksum(model: &[u8]) -> u32 {
    let aligned = ocelli_compiler::pack::AlignedBytes::new(model);
    ocelli::Model::open(aligned.bytes()).expect("it is a model").checksum()
}

/// Starts the board with its flash in that file; its power ends in the middle of that operation of the flash.
fn started(flash: &Path, power: Option<usize>) -> (Served, Board<TcpStream>) {
    let machine = machine("rv32").expect("the table has it");
    let (served, port) =
        Served::start_slots(machine, flash, power, None).unwrap_or_else(|error| panic!("{error}"));
    (served, Board::new(port, LIMIT))
}

fn install(board: &mut Board<TcpStream>, model: &[u8]) -> Result<(), SendError> {
    board.install(model, [0; SIGNATURE_BYTES], |_| {})
}

/// The checksum of the model that the board starts with; 0 where it has none.
fn running(flash: &Path) -> u32 {
    let (_served, mut board) = started(flash, None);
    board.info().unwrap_or_else(|error| panic!("{error}")).model.get()
}

#[test]
fn a_model_is_replaced_whenever_the_power_is_cut() {
    let folder = tempfile::tempdir().expect("a folder");
    let [flash, before] = ["flash", "before"].map(|name| folder.path().join(name));
    let (old, new) = (golden("v2_rv32"), golden("v2"));
    assert_eq!(running(&before), 0);
    let (served, mut board) = started(&before, None);
    board.info().unwrap_or_else(|error| panic!("{error}"));
    install(&mut board, &old).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(board.info().expect("it starts again").model.get(), checksum(&old));
    drop(served);

    let (mut power, mut outcomes) = (0, Vec::new());
    loop {
        fs::copy(&before, &flash).expect("it can be copied");
        let (served, mut board) = started(&flash, Some(power));
        board.info().unwrap_or_else(|error| panic!("{error}"));
        let whole = install(&mut board, &new);
        drop(served);
        outcomes.push(running(&flash));
        match whole {
            Ok(()) => break,
            Err(SendError::Port(_)) => power += 1,
            Err(error) => panic!("power for {power} operations: {error}"),
        }
    }
    // Sectors of a slot, parts of the model, and its header.
    assert_eq!(power, 4 + new.len().div_ceil(MODEL_PART) + 1);
    assert_eq!(outcomes.pop(), Some(checksum(&new)));
    assert_eq!(outcomes, vec![checksum(&old); power]);
}

#[test]
fn an_installed_model_runs_and_a_refused_one_leaves_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let flash = folder.path().join("flash");
    let (_served, mut board) = started(&flash, None);
    let nothing = board.info().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((nothing.model.get(), nothing.height.get()), (0, 0));
    let model = golden("v2_rv32");
    install(&mut board, &model).unwrap_or_else(|error| panic!("{error}"));

    let info = board.info().unwrap_or_else(|error| panic!("{error}"));
    let aligned = ocelli_compiler::pack::AlignedBytes::new(&model);
    let packed = ocelli::Model::open(aligned.bytes()).expect("it is a model");
    let mut arena = vec![0; packed.arena_bytes()];
    let mut engine =
        ocelli::Engine::<{ ocelli::operator::ALL }>::new(packed, &mut arena).expect("it has an arena");
    let input: Vec<i8> = ocelli::test_bytes(1).take(packed.input().len()).collect();
    let expected = engine.run(&input).expect("it runs").values().to_vec();
    let bytes: Vec<u8> = input.iter().map(|value| value.cast_unsigned()).collect();
    let run = |board: &mut Board<TcpStream>| {
        board
            .run(&info, Frame { kind: Kind::Values, bytes: &bytes })
            .unwrap_or_else(|error| panic!("{error}"))
    };
    assert_eq!(run(&mut board).output, expected);

    let refusal = |result: Result<(), SendError>| match result {
        Err(SendError::Install(refusal)) => Reason::from_code(refusal.reason),
        other => panic!("{other:?}"),
    };
    let mut damaged = golden("v2");
    damaged[300] ^= 4;
    assert_eq!(refusal(install(&mut board, &damaged)), Some(Reason::Model));
    assert_eq!(refusal(install(&mut board, &vec![0; 1 << 20])), Some(Reason::Room));
    assert_eq!(run(&mut board).output, expected);
    assert_eq!(running(&flash), checksum(&model));
}

#[test]
fn a_board_that_trusts_a_key_takes_what_it_signed() {
    use ed25519_dalek::{Signer, SigningKey};

    let folder = tempfile::tempdir().expect("a folder");
    let flash = folder.path().join("flash");
    // No secret: anyone may sign for this test.
    let key = SigningKey::from_bytes(&[42; 32]);
    let digits: String = key.verifying_key().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let machine = machine("rv32").expect("the table has it");
    let (_served, port) =
        Served::start_slots(machine, &flash, None, Some(&digits)).unwrap_or_else(|error| panic!("{error}"));
    let mut board = Board::new(port, LIMIT);
    let model = golden("v2");
    let other = SigningKey::from_bytes(&[43; 32]);
    for signature in [[0; SIGNATURE_BYTES], other.sign(&model).to_bytes()] {
        match board.install(&model, signature, |_| {}) {
            Err(SendError::Install(refusal)) => {
                assert_eq!(Reason::from_code(refusal.reason), Some(Reason::Signature));
            }
            other => panic!("{other:?}"),
        }
    }
    let signed = board.install(&model, key.sign(&model).to_bytes(), |_| {});
    signed.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(board.info().expect("it starts again").model.get(), checksum(&model));
}

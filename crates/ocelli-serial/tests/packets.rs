//! Packets survive the line, and what happens to them on it is noticed.

use ocelli_serial::{Damage, Kind, OVERHEAD, Packet, Receiver, encoded_len};
use proptest::prelude::*;

fn encoded(packet: &Packet<'_>) -> Vec<u8> {
    let mut buffer = vec![0; encoded_len(packet.payload.len())];
    packet.encode(&mut buffer).expect("it has room").to_vec()
}

/// Kind, number and payload of a packet, or what is wrong with it.
type Received = Result<(Kind, u16, Vec<u8>), Damage>;

/// What a receiver makes of the bytes of a line.
fn received<const N: usize>(line: &[u8]) -> Vec<Received> {
    let mut receiver = Receiver::<N>::default();
    let mut packets = Vec::new();
    for &byte in line {
        if let Some(result) = receiver.feed(byte) {
            let result = result.map(|packet| (packet.kind, packet.number, packet.payload.to_vec()));
            assert!(
                result.as_ref().is_ok_and(|(_, _, payload)| receiver.payload() == payload) || result.is_err()
            );
            packets.push(result);
        }
    }
    packets
}

proptest! {
    #[test]
    fn packets_arrive_as_they_were_sent(payload in prop::collection::vec(prop_oneof![Just(0u8), any::<u8>()], 0..700), number: u16) {
        let packet = Packet { kind: Kind::Values, number, payload: &payload };
        let line = encoded(&packet);
        prop_assert_eq!(line.iter().filter(|&&byte| byte == 0).count(), 1);
        prop_assert_eq!(received::<{ 700 + OVERHEAD }>(&line), [Ok((Kind::Values, number, payload.clone()))]);
    }

    /// After any damage, the packet after the next zero byte arrives.
    #[test]
    fn a_damaged_byte_costs_one_packet(payload in prop::collection::vec(any::<u8>(), 1..600), at: prop::sample::Index, to in any::<u8>()) {
        let first = encoded(&Packet { kind: Kind::Gray, number: 3, payload: &payload });
        let second = encoded(&Packet::empty(Kind::Ask, 7));
        let mut line = first.clone();
        let at = at.index(line.len());
        prop_assume!(line[at] != to);
        line[at] = to;
        // The zero that tells where a packet begins whatever came before.
        line.push(0);
        line.extend(&second);
        let packets = received::<700>(&line);
        prop_assert_eq!(packets.last(), Some(&Ok((Kind::Ask, 7, Vec::new()))));
        prop_assert!(packets.iter().rev().skip(1).all(Result::is_err), "{packets:?}");
    }

    #[test]
    fn bytes_without_meaning_are_refused(line in prop::collection::vec(any::<u8>(), 0..300)) {
        for packet in received::<64>(&line) {
            prop_assert!(packet.is_err());
        }
    }
}

#[test]
fn large_packets_are_refused_and_the_next_one_arrives() {
    let mut line = encoded(&Packet { kind: Kind::Rgb888, number: 0, payload: &[1; 65] });
    line.extend(encoded(&Packet { kind: Kind::Rgb888, number: 0, payload: &[2; 64] }));
    let expected = [Err(Damage::Large { room: 64 + OVERHEAD }), Ok((Kind::Rgb888, 0, vec![2; 64]))];
    assert_eq!(received::<{ 64 + OVERHEAD }>(&line), expected);
}

#[test]
fn unknown_kinds_and_wrong_lengths_are_named() {
    let parse = |body: &[u8]| {
        let checksum = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(body).to_le_bytes();
        Packet::parse(&[body, &checksum].concat()).map(|packet| packet.kind).expect_err("it is wrong")
    };
    assert_eq!(parse(&[0x77, 0, 0, 0, 0]), Damage::Kind(0x77));
    assert_eq!(parse(&[0x02, 0, 0, 4, 0, 1]), Damage::Length { stated: 4, found: 1 });
    assert_eq!(parse(&[0x02, 0]), Damage::Encoding);
}

#[test]
fn a_packet_without_room_is_not_encoded() {
    let packet = Packet { kind: Kind::Output, number: 0, payload: &[1; 20] };
    for room in 0..packet.payload.len() + OVERHEAD + 2 {
        assert_eq!(packet.encode(&mut vec![0; room]), None, "{room}");
    }
}

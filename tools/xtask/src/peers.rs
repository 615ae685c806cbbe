//! What other engines take for the same networks, measured in the same way: instructions of one inference in QEMU.

use serde::Serialize;

/// What the figures are.
pub const PEERS: &str = "Other engines: instructions of the same int8 network in QEMU, and how many times ours they are. CMSIS-NN (July 2026) \
    without an interpreter, the best of several compilers; embedded-nn 0.2.3; microflow 0.1.3.";

/// A figure of another engine.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Peer {
    /// The engine.
    pub engine: &'static str,
    /// Instructions of one inference.
    pub instructions: u64,
}

/// Instructions in units of 10 000, by network and machine.
type Figures = &'static [(&'static str, &'static [(&'static str, u64)])];

const CMSIS_NN: Figures = &[
    ("vww", &[("m0", 7420), ("m3", 3040), ("m4", 2230), ("m7", 2240), ("m55", 625)]),
    ("kws", &[("m0", 2490), ("m3", 1000), ("m4", 710), ("m7", 710), ("m55", 175)]),
    ("ic", &[("m0", 9750), ("m3", 4030), ("m4", 2490), ("m7", 2490), ("m55", 457)]),
    ("mobilenet_v2_0.35_96", &[("m0", 13100), ("m3", 5120), ("m4", 4040), ("m7", 4050), ("m55", 1150)]),
];

const EMBEDDED_NN: Figures =
    &[("vww", &[("m4", 16820)]), ("kws", &[("m4", 5630)]), ("ic", &[("m4", 21680)]), ("ad", &[("m4", 388)])];

const MICROFLOW: Figures = &[("vww", &[("m4", 33880)]), ("kws", &[("m4", 7520)]), ("ad", &[("m4", 788)])];

/// The figures for a network on a machine.
pub fn peers(network: &str, machine: &str) -> Vec<Peer> {
    let engines = [("CMSIS-NN", CMSIS_NN), ("embedded-nn", EMBEDDED_NN), ("microflow", MICROFLOW)];
    let of = |(engine, networks): (&'static str, Figures)| {
        let (_, machines) = networks.iter().find(|(name, _)| *name == network)?;
        let (_, units) = machines.iter().find(|(name, _)| *name == machine)?;
        Some(Peer { engine, instructions: units * 10_000 })
    };
    engines.into_iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::peers;
    use crate::networks::networks;

    #[test]
    fn figures_are_for_networks_that_are_measured() {
        let figures = |machine: &str| -> usize {
            let mut names: Vec<_> = networks().map(|network| network.name).collect();
            names.sort_unstable();
            names.dedup();
            names.into_iter().map(|name| peers(name, machine).len()).sum()
        };
        assert_eq!(["m0", "m3", "m4", "m7", "m33", "m55"].map(figures), [4, 4, 11, 4, 0, 4]);
        assert_eq!(peers("vww", "m4")[0].instructions, 22_300_000);
    }
}

//! The options of memory, for all subcommands that plan it.

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use ocelli::Feed;
use ocelli_compiler::graph::TensorId;
use ocelli_compiler::plan::{Optimize, Plan, PlanOptions};
use ocelli_compiler::quantized::{QuantizedGraph, QuantizedNode};

use crate::table::{grouped, short};

/// How a network's memory is laid out.
#[derive(Args)]
#[group(id = "memory")]
pub struct Options {
    /// How the input arrives: row by row, as a camera gives it, or as a whole frame that lies in the arena.
    #[arg(long, value_name = "FEED", default_value = "rows")]
    feed: FeedName,
    /// What matters most: the smallest arena, or the fewest instructions.
    #[arg(long, value_name = "WHAT", default_value = "memory")]
    optimize: OptimizeName,
    /// Bytes that the arena may have at most (20000, 20k): the fastest way to run that needs no more is taken.
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    arena_limit: Option<usize>,
}

#[derive(Clone, Copy, ValueEnum)]
enum FeedName {
    Rows,
    Frame,
}

#[derive(Clone, Copy, ValueEnum)]
enum OptimizeName {
    Memory,
    Speed,
}

/// A number of bytes; `k` stands for 1024 of them, `m` for 1024 of those.
fn parse_bytes(text: &str) -> Result<usize, String> {
    let lower = text.to_lowercase();
    let (digits, factor) = match lower.strip_suffix(['k', 'm']) {
        Some(digits) => (digits, if lower.ends_with('k') { 1 << 10 } else { 1 << 20 }),
        None => (lower.as_str(), 1),
    };
    let number = digits.parse().ok().filter(|&number: &usize| number > 0);
    let bytes = number.and_then(|number| number.checked_mul(factor));
    bytes.ok_or_else(|| "give bytes, as 20480 or 20k".to_owned())
}

impl Options {
    /// What to plan for.
    pub fn plan(&self) -> PlanOptions {
        PlanOptions {
            feed: match self.feed {
                FeedName::Rows => Feed::Rows,
                FeedName::Frame => Feed::Frame,
            },
            optimize: match self.optimize {
                OptimizeName::Memory => Optimize::Memory,
                OptimizeName::Speed => Optimize::Speed,
            },
            arena_limit: self.arena_limit,
        }
    }

    /// Checks that a plan keeps to the limit; else the error says how near it comes, and what would help.
    pub fn check(&self, graph: &QuantizedGraph, plan: &Plan) -> Result<()> {
        let Some(limit) = self.arena_limit.filter(|&limit| plan.arena_bytes > limit) else { return Ok(()) };
        let largest: Vec<String> =
            plan.peak_tensors.iter().take(3).map(|&(id, bytes)| held(graph, id, bytes)).collect();
        let input = graph.tensor(graph.input).shape;
        // Rows, and so rings of them, are as long as the map is wide: the arena goes with the width of the input, at least.
        let part = limit as f64 / plan.arena_bytes as f64;
        let [height, width] = [input.height, input.width].map(|side| (side as f64 * part) as usize);
        let smaller = if height.min(width) > 0 {
            format!("an input of about {height}x{width}, or ")
        } else {
            String::new()
        };
        let feed = match self.feed {
            FeedName::Rows => "",
            FeedName::Frame => ", or `--feed rows` (no frame in the arena)",
        };
        bail!(
            "no arena of at most {} bytes can hold this network: the nearest is {} bytes (`--arena-limit {1}`)\nmost of it holds:\n  {}\nwhat helps: {smaller}about {:.0} % fewer channels in these layers{feed}",
            grouped(limit as u64),
            plan.arena_bytes,
            largest.join("\n  "),
            (1.0 - part) * 100.0,
        )
    }
}

/// What lies in the arena: bytes, shape, and the layer that makes it.
fn held(graph: &QuantizedGraph, id: TensorId, bytes: usize) -> String {
    let shape = graph.tensor(id).shape;
    let maker = graph.nodes.iter().find(|node| node.output == id);
    let name = |node: &QuantizedNode| node.name.split(" + ").map(short).collect::<Vec<_>>().join(" + ");
    let of = maker.map_or_else(|| "the input".to_owned(), |node| format!("`{}`", name(node)));
    format!("{} bytes of {shape} from {of}", grouped(bytes as u64))
}

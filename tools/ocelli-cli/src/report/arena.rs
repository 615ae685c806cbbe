//! The arena over time, read from the packed model.

use std::collections::BTreeMap;
use std::ops::Range;

use ocelli::Model;
use ocelli_format::Step;

use super::columns::number_every;
use super::svg::{Anchor, Svg};
use crate::table::{ending, grouped, short};

/// A tensor's bytes in the arena, and the steps during which they must stay.
pub struct Tenant {
    /// The tensor.
    pub name: String,
    /// Its shape, and how it lies in memory.
    pub what: String,
    /// Its bytes.
    pub bytes: Range<usize>,
    steps: Range<usize>,
    class: &'static str,
}

/// When most bytes are in use, as the planner found it.
pub struct Peak {
    /// The step.
    pub step: usize,
    /// The bytes in use.
    pub bytes: usize,
}

/// Who uses the arena when.
pub struct Arena {
    tenants: Vec<Tenant>,
    names: Vec<String>,
    arena_bytes: usize,
    /// When most bytes are in use.
    pub peak: Peak,
    /// Bytes that tensors take during each step; rows of one may lie where rows of another were.
    in_use: Vec<usize>,
}

impl Arena {
    /// Of a packed model whose steps have these names.
    pub fn of(model: &Model<'_>, names: Vec<String>, peak: Peak) -> Self {
        let steps: Vec<Step<'_>> = model.steps().collect();
        let stages = stages(&steps);
        let mut lives: BTreeMap<u16, Life> = BTreeMap::new();
        if let Some(input) = model.tensors().iter().position(|tensor| std::ptr::eq(tensor, model.input())) {
            lives.insert(input as u16, Life { steps: 0..1, made_by: None, is_output: true });
        }
        for (index, step) in steps.iter().enumerate() {
            let stage = &stages[index];
            for (&tensor, is_output) in
                step.inputs.iter().map(|tensor| (tensor, false)).chain([(&step.output, true)])
            {
                let life = lives.entry(tensor).or_insert(Life {
                    steps: stage.clone(),
                    made_by: Some(index),
                    is_output,
                });
                life.steps = life.steps.start.min(stage.start)..life.steps.end.max(stage.end);
            }
            if model.tensor(step.output).is_some_and(|output| std::ptr::eq(output, model.output()))
                && let Some(life) = lives.get_mut(&step.output)
            {
                life.steps.end = steps.len();
            }
        }
        let tenants: Vec<Tenant> = lives
            .into_iter()
            .filter_map(|(tensor, life)| {
                let info = model.tensor(tensor).filter(|info| info.constant == 0)?;
                let (height, width, channels) = (info.height, info.width, info.channels);
                let shape = format!("{height}x{width}x{channels}");
                let made_by = life.made_by.map(|step| short(&names[step]));
                let (name, what, class) = match made_by {
                    None => ("input".to_owned(), shape, "m-input"),
                    Some(name) if !life.is_output => (name, "working memory".to_owned(), "m-scratch"),
                    Some(name) if info.is_whole() => {
                        (name, shape, CLASSES[usize::from(tensor) % CLASSES.len()])
                    }
                    Some(name) => {
                        (name, format!("{} of {height} rows of {width}x{channels}", info.slots), "m-ring")
                    }
                };
                Some(Tenant { name, what, bytes: info.range()?, steps: life.steps, class })
            })
            .collect();
        let in_use = (0..steps.len()).map(|step| occupied(&tenants, step)).collect();
        Self { tenants, names, arena_bytes: model.arena_bytes(), peak, in_use }
    }

    /// The name of a step.
    pub fn step_name(&self, step: usize) -> &str {
        self.names.get(step).map_or("", String::as_str)
    }

    /// Who is in the arena during a step, the largest first.
    pub fn at(&self, step: usize) -> Vec<&Tenant> {
        let mut found: Vec<&Tenant> =
            self.tenants.iter().filter(|tenant| tenant.steps.contains(&step)).collect();
        found.sort_by_key(|tenant| std::cmp::Reverse(tenant.bytes.len()));
        found
    }

    /// The map: time from left to right, addresses from below upwards; and below it the bytes in use.
    pub fn chart(&self) -> String {
        const WIDTH: f64 = 960.0;
        const LEFT: f64 = 62.0;
        const MAP: f64 = 320.0;
        const TOP: f64 = 22.0;
        const USE: f64 = 70.0;
        let height = TOP + MAP + 26.0 + USE + 22.0;
        let mut svg = Svg::new(WIDTH, height);
        let steps = self.in_use.len().max(1);
        let pitch = (WIDTH - LEFT) / steps as f64;
        let x = |step: usize| LEFT + step as f64 * pitch;
        let y = |byte: usize| TOP + MAP * (1.0 - byte as f64 / self.arena_bytes.max(1) as f64);
        // Powers of two, as sizes of memory are.
        let tick = (self.arena_bytes / 4).max(1).next_power_of_two();
        for byte in (0..=self.arena_bytes).step_by(tick) {
            svg.line([LEFT, y(byte), WIDTH, y(byte)], if byte == 0 { "axis" } else { "grid" });
            svg.text([LEFT - 8.0, y(byte) + 4.0], Anchor::End, "tick", &kilobytes(byte));
        }
        let busiest = self.peak.step;
        for tenant in &self.tenants {
            let (left, right) = (x(tenant.steps.start), x(tenant.steps.end));
            let (top, bottom) = (y(tenant.bytes.end), y(tenant.bytes.start));
            let title = format!(
                "{}\n{}, {} bytes at {}\nsteps {} to {}",
                tenant.name,
                tenant.what,
                grouped(tenant.bytes.len() as u64),
                grouped(tenant.bytes.start as u64),
                tenant.steps.start,
                tenant.steps.end - 1
            );
            svg.rectangle(
                [left + 0.5, top + 0.5, right - left - 1.0, bottom - top - 1.0],
                tenant.class,
                &title,
            );
            let letters = ((right - left - 8.0) / 6.2) as usize;
            if letters >= 5 && bottom - top > 15.0 {
                let name = ending(&tenant.name, letters);
                svg.text([left + 5.0, (top + bottom) / 2.0 + 3.5], Anchor::Start, "m-name", &name);
            }
        }
        let middle = x(busiest) + pitch / 2.0;
        svg.rectangle([x(busiest), TOP, pitch, MAP], "peak", "");
        let (anchor, at) = match middle / WIDTH {
            ..0.2 => (Anchor::Start, x(busiest)),
            0.8.. => (Anchor::End, x(busiest + 1)),
            _ => (Anchor::Middle, middle),
        };
        let peak = format!("peak: {} bytes at step {busiest}", grouped(self.peak.bytes as u64));
        svg.text([at, TOP - 8.0], anchor, "peak-label", &peak);

        let floor = TOP + MAP + 26.0 + USE;
        svg.text([LEFT - 8.0, floor - USE / 2.0 + 4.0], Anchor::End, "tick", "in use");
        svg.line([LEFT, floor, WIDTH, floor], "axis");
        let every = number_every(steps);
        for (step, &bytes) in self.in_use.iter().enumerate() {
            let tall = USE * bytes as f64 / self.arena_bytes.max(1) as f64;
            let class = if step == busiest { "bad" } else { "quiet" };
            let title = format!("step {step}, {}\n{} bytes in use", self.names[step], grouped(bytes as u64));
            svg.rectangle([x(step) + 0.5, floor - tall, pitch - 1.0, tall], class, &title);
            if step.is_multiple_of(every) {
                svg.text([x(step) + pitch / 2.0, height - 6.0], Anchor::Middle, "tick", &step.to_string());
            }
        }
        svg.finish("The arena over the steps of an inference: which bytes each tensor takes, and when")
    }
}

const CLASSES: [&str; 5] = ["m-0", "m-1", "m-2", "m-3", "m-4"];

struct Life {
    steps: Range<usize>,
    made_by: Option<usize>,
    is_output: bool,
}

/// For each step the steps of its stage, which are done in turns.
fn stages(steps: &[Step<'_>]) -> Vec<Range<usize>> {
    let mut stages: Vec<Range<usize>> = Vec::with_capacity(steps.len());
    let mut start = 0;
    while start < steps.len() {
        let more = steps[start + 1..].iter().take_while(|step| step.flags & Step::CONTINUES != 0).count();
        let stage = start..start + 1 + more;
        start = stage.end;
        stages.extend(std::iter::repeat_n(stage.clone(), stage.len()));
    }
    stages
}

/// Bytes that at least one tensor takes during a step.
fn occupied(tenants: &[Tenant], step: usize) -> usize {
    let mut ranges: Vec<&Range<usize>> =
        tenants.iter().filter(|tenant| tenant.steps.contains(&step)).map(|tenant| &tenant.bytes).collect();
    ranges.sort_by_key(|range| range.start);
    let mut end = 0;
    let mut bytes = 0;
    for range in ranges {
        bytes += range.end.saturating_sub(range.start.max(end));
        end = end.max(range.end);
    }
    bytes
}

/// Bytes in KiB, with a digit behind the point where it says more.
fn kilobytes(bytes: usize) -> String {
    match bytes as f64 / 1024.0 {
        0.0 => "0".to_owned(),
        size if size < 10.0 && size.fract() != 0.0 => format!("{size:.1} KiB"),
        size => format!("{size:.0} KiB"),
    }
}

//! `ocelli report`: everything about a quantized network on one page.

mod accuracy;
mod arena;
mod columns;
mod confusion;
mod histogram;
mod layers;
mod page;
mod svg;
mod tensors;

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use clap::Args;
use ocelli::Model;
use ocelli_compiler::calibrate::data::Dataset;
use ocelli_compiler::graph::Graph;
use ocelli_compiler::pack::{AlignedBytes, pack};
use ocelli_compiler::quantize::constant_channels;
use ocelli_compiler::quantized::{Operation, QuantizedGraph, QuantizedNode};

use crate::conversion::{Conversion, Converted};
use crate::progress::Progress;
use crate::{eval, files, memory, print};
use accuracy::Accuracy;
use arena::{Arena, Peak};
use layers::Layer;
use page::Page;

/// Write a page about a quantized network: accuracy, error by layer, memory over time, cost, and the values of every tensor.
#[derive(Args)]
#[command(after_help = "Examples:
  ocelli report model.onnx --calibrate pictures/ --data held-out/ --preprocess symmetric -o report.html
  ocelli report model.onnx --calibrate calibration.npy --data test.npy --classes labels.u8 -o report.html
  ocelli report model_int8.tflite --data held-out/ -o report.html

The page is one HTML file that needs no network and no script. A float network is quantized as `ocelli quantize` does it, with the same options.
With --data it shows the accuracy, which pictures the int8 model gets wrong, and, for a network that was int8 already, its tensors.

Data: a folder with a sub-folder for each class, strips of pictures, .npy and .npz arrays, or raw files; --classes names a file of classes, one
byte a sample (.u8) or one a line.")]
pub struct Arguments {
    #[command(flatten)]
    conversion: Conversion,
    #[command(flatten)]
    memory: memory::Options,
    /// Inputs to measure on, best other ones than those to calibrate with; with classes where top-1 is wanted.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    data: Vec<PathBuf>,
    /// Classes of the inputs of --data, in their order.
    #[arg(long, value_name = "FILE", requires = "data")]
    classes: Option<PathBuf>,
    /// The page to write.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// A packed network, and how it came about.
struct Packed {
    converted: Converted,
    file: Vec<u8>,
    labels: Vec<String>,
}

impl Packed {
    fn graph(&self) -> &QuantizedGraph {
        &self.converted.graph
    }

    /// The name of a class.
    fn class(&self, class: usize) -> String {
        self.labels.get(class).cloned().unwrap_or_else(|| class.to_string())
    }
}

/// Runs the subcommand.
pub fn run(arguments: &Arguments) -> Result<()> {
    files::check_folder(&arguments.output)?;
    let progress = Progress::new(true);
    let conversion = &arguments.conversion;
    let network = conversion.load()?;
    let data = open_data(arguments, &network.graph)?;
    let mut converted = conversion.run(network, &progress)?;
    constant_channels::fold(&mut converted.graph);
    let graph = &converted.graph;
    let (lowered, layout) = conversion.plan(graph, &arguments.memory.plan());
    let lowered = lowered.graph;
    let metadata = conversion.metadata(graph, converted.pictures)?;
    let labels = metadata.labels.clone();
    arguments.memory.check(&lowered, &layout)?;
    let file = pack(&lowered, &layout, metadata)
        .with_context(|| format!("cannot pack {}", conversion.network.display()))?;
    let packed = Packed { converted, file, labels };

    let aligned = AlignedBytes::new(&packed.file);
    let model = Model::open(aligned.bytes()).map_err(|error| anyhow!("the packed model: {error}"))?;
    let accuracy = data.as_ref().map(|data| Accuracy::measure(&packed, data, &progress)).transpose()?;
    let counts = match &data {
        Some(data) if packed.converted.tensors.is_empty() => {
            Some(tensors::value_counts(packed.graph(), data, &progress)?)
        }
        _ => None,
    };
    let steps = |node: &&QuantizedNode| !matches!(node.operation, Operation::Reshape);
    let names: Vec<String> = lowered.nodes.iter().filter(steps).map(|node| node.name.clone()).collect();
    let peak =
        Peak { step: lowered.nodes[..layout.busiest].iter().filter(steps).count(), bytes: layout.peak_bytes };
    let layers = Layer::all(&packed, counts.as_deref());
    let page = Page::new(
        &packed,
        &model,
        conversion,
        accuracy,
        &layers,
        &Arena::of(&model, names, peak),
        tensors::cards(&packed, counts.as_deref()),
    );
    files::write_whole(&arguments.output, page.html()?.as_bytes())?;
    Ok(print::line(format_args!("{}: open it in a browser", arguments.output.display()))?)
}

/// The inputs to measure on, for a graph of one input and one output.
fn open_data(arguments: &Arguments, graph: &Graph) -> Result<Option<Dataset>> {
    if arguments.data.is_empty() {
        return Ok(None);
    }
    let options = &arguments.conversion.data;
    let [input, output] = [graph.inputs[0], graph.outputs[0]].map(|id| graph.tensor(id).shape);
    let data = options.open(&arguments.data, input, arguments.classes.as_deref(), options.class_names()?)?;
    eval::check_classes(output.len(), &data)?;
    Ok(Some(data))
}

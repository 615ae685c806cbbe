//! `ocelli eval`: a packed model on labelled data, beside the float network.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use ocelli::Model;
use ocelli_compiler::calibrate::data::Dataset;
use ocelli_compiler::evaluate::{accuracy, evaluate};
use ocelli_compiler::float::FloatModel;
use ocelli_compiler::graph::{Quantization, Shape};
use ocelli_compiler::pack::AlignedBytes;
use serde::Serialize;

use crate::progress::Progress;
use crate::table::table;
use crate::{data, network, print};

/// Measure a packed model on data: top-1, and agreement with the float network that it was made of.
#[derive(Args)]
#[command(after_help = "Examples:
  ocelli eval model.ocelli --data held-out/ --preprocess symmetric
  ocelli eval model.ocelli --float model.onnx --data strip.png --classes labels.u8

Data: a folder with a sub-folder for each class, strips of pictures, .npy and .npz arrays, or raw files; --classes names a file of classes, one
byte a sample (.u8) or one a line.")]
pub struct Arguments {
    /// The packed model.
    model: PathBuf,
    /// The float network that it was made of.
    #[arg(long, value_name = "NETWORK")]
    float: Option<PathBuf>,
    /// Inputs, with classes where top-1 is wanted.
    #[arg(long, value_name = "PATH", required = true, num_args = 1..)]
    data: Vec<PathBuf>,
    /// Classes of the inputs, in their order.
    #[arg(long, value_name = "FILE")]
    classes: Option<PathBuf>,
    /// The float network's input dimensions, batch included, where its file leaves some open.
    #[arg(long, value_name = "N,N,..", value_delimiter = ',')]
    input_shape: Vec<usize>,
    #[command(flatten)]
    options: data::Options,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Default, Serialize)]
struct Line {
    model: String,
    samples: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    int8_top1_percent: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    float_top1_percent: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    difference_standard_error: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agreement_percent: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sqnr_db: Option<f64>,
}

/// Runs the subcommand.
pub fn run(arguments: &Arguments) -> Result<()> {
    let path = arguments.model.display();
    let bytes =
        AlignedBytes::new(&std::fs::read(&arguments.model).with_context(|| format!("cannot read {path}"))?);
    let model = Model::open(bytes.bytes()).map_err(|error| anyhow!("{path}: {error}"))?;
    let input = model.input();
    let shape = Shape::new(input.height.into(), input.width.into(), input.channels.into());
    let float = match &arguments.float {
        Some(path) => Some(FloatModel::new(&network::load(path, &arguments.input_shape)?.imported.graph)?),
        None => None,
    };
    let mut names = arguments.options.class_names()?;
    if names.is_empty() {
        names = model.labels().map(str::to_owned).collect();
    }
    let data = arguments.options.open(&arguments.data, shape, arguments.classes.as_deref(), names)?;
    check_preprocessing(&model, &data)?;
    check_classes(model.output().len(), &data)?;
    let progress = Progress::new(!arguments.json);
    let progress = |done, total| progress.set("evaluating", done, total);
    let mut line = Line { model: model.name().to_owned(), samples: data.len(), ..Line::default() };
    match float {
        Some(float) => {
            let result = evaluate(bytes.bytes(), &float, &data, &progress)?;
            line.int8_top1_percent = result.accuracy.map(|accuracy| accuracy.int8_percent);
            line.float_top1_percent = result.accuracy.map(|accuracy| accuracy.float_percent);
            line.difference_standard_error = result.accuracy.map(|accuracy| accuracy.standard_error);
            line.agreement_percent = Some(result.agreement_percent);
            line.sqnr_db = Some(result.sqnr_db).filter(|sqnr| sqnr.is_finite());
        }
        None => line.int8_top1_percent = accuracy(bytes.bytes(), &data, &progress)?,
    }
    if line.int8_top1_percent.is_none() && line.agreement_percent.is_none() {
        bail!(
            "the data has no classes and there is no float network to compare with: give --classes or --float"
        );
    }
    print(&line, arguments.json)
}

/// Refuses pictures that would not reach the model as `ocelli run` feeds them.
fn check_preprocessing(model: &Model<'_>, data: &Dataset) -> Result<()> {
    let Some(packed) = model.preprocessing() else { return Ok(()) };
    if data.bytes(0)?.is_none() {
        return Ok(());
    }
    let input = model.input();
    let given =
        data.preprocessing().tables(Quantization { scale: input.scale, zero_point: input.zero_point });
    let same = (0..usize::from(input.channels)).all(|channel| {
        packed.table(channel) == given.tables.get(if given.tables.len() == 1 { 0 } else { channel })
    });
    if !same || packed.bgr != given.bgr {
        bail!("the model was packed with another --preprocess or --bgr: give the same here");
    }
    Ok(())
}

/// Refuses classes that the model has no output for.
pub fn check_classes(outputs: usize, data: &Dataset) -> Result<()> {
    match (0..data.len()).filter_map(|index| data.label(index)).max() {
        Some(class) if class >= outputs => {
            bail!("the data has a class {class}, the model has outputs for 0 to {}", outputs - 1)
        }
        _ => Ok(()),
    }
}

fn print(line: &Line, json: bool) -> Result<()> {
    if json {
        print::line(format_args!("{}", serde_json::to_string(line)?))?;
        return Ok(());
    }
    let mut rows = table(&["", "value"], 1);
    rows.add_row(["samples".to_owned(), line.samples.to_string()]);
    let mut add = |name: &str, value: Option<f64>, unit: &str| {
        if let Some(value) = value {
            rows.add_row([name.to_owned(), format!("{value:.2} {unit}")]);
        }
    };
    add("top-1, int8", line.int8_top1_percent, "%");
    add("top-1, float", line.float_top1_percent, "%");
    if let (Some(int8), Some(float)) = (line.int8_top1_percent, line.float_top1_percent) {
        add("difference", Some(int8 - float), "points");
        add("its standard error", line.difference_standard_error, "points");
    }
    add("agreement", line.agreement_percent, "%");
    add("SQNR of the logits", line.sqnr_db, "dB");
    print::line(format_args!("{rows}"))?;
    Ok(())
}

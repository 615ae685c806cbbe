//! What a model gets right and wrong.

use anyhow::Result;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use ocelli_compiler::calibrate::data::Dataset;
use ocelli_compiler::evaluate::{Evaluation, evaluate, predict};
use ocelli_compiler::float::FloatModel;

use super::Packed;
use super::confusion::Confusion;
use crate::progress::Progress;

/// How a model does on a data set.
pub struct Accuracy {
    /// Number of samples.
    pub samples: usize,
    /// Samples that the int8 model gets right, percent; `None` for data without classes.
    pub int8_percent: Option<f64>,
    /// Beside the float network, where there is one.
    pub evaluation: Option<Evaluation>,
    /// Who is taken for whom; `None` for data without classes.
    pub confusion: Option<Confusion>,
    /// Samples that the float network gets right and the int8 model wrong; without classes those on which they differ.
    pub lost: usize,
    /// Samples that the int8 model gets right and the float network wrong; `None` without classes.
    pub won: Option<usize>,
    /// The first of those that are lost, where they are pictures.
    pub pictures: Vec<Picture>,
}

/// A picture that the int8 model gets wrong.
pub struct Picture {
    /// The picture as a URL that holds it.
    pub url: String,
    /// Its file.
    pub name: String,
    /// Its class.
    pub class: Option<String>,
    /// What the float network says.
    pub float: String,
    /// What the int8 model says.
    pub int8: String,
    /// Whether it is so small that its pixels should stay sharp.
    pub small: bool,
}

const MOST_PICTURES: usize = 30;

impl Accuracy {
    /// Runs the packed model and the float network on all samples.
    pub fn measure(packed: &Packed, data: &Dataset, progress: &Progress) -> Result<Self> {
        let progress = |done, total| progress.set("measuring accuracy", done, total);
        let Some(float) = &packed.converted.float else {
            let classes = predict(&packed.file, data, &progress)?;
            return Ok(Self::of(packed, data, classes, None));
        };
        let evaluation = evaluate(&packed.file, &FloatModel::new(float)?, data, &progress)?;
        let classes = evaluation.predictions.iter().map(|one| one.int8).collect();
        let mut accuracy = Self::of(packed, data, classes, Some(evaluation));
        accuracy.pictures = accuracy.lost_pictures(packed, data)?;
        Ok(accuracy)
    }

    fn of(packed: &Packed, data: &Dataset, int8: Vec<usize>, evaluation: Option<Evaluation>) -> Self {
        let graph = packed.graph();
        let outputs = graph.tensor(graph.output).shape.len();
        let float = |sample: usize| evaluation.as_ref().map(|of| of.predictions[sample].float);
        let labelled =
            (0..int8.len()).filter_map(|sample| Some((data.label(sample)?, int8[sample], float(sample))));
        let labelled: Vec<_> = labelled.collect();
        let right = labelled.iter().filter(|(class, int8, _)| class == int8).count();
        let is_labelled = data.is_labelled();
        let won = labelled
            .iter()
            .filter(|(class, int8, float)| class == int8 && float.is_some_and(|it| it != *class));
        Self {
            samples: int8.len(),
            int8_percent: is_labelled.then(|| 100.0 * right as f64 / int8.len() as f64),
            won: is_labelled.then(|| won.count()),
            confusion: is_labelled.then(|| Confusion::of(outputs, labelled.iter().copied())),
            lost: evaluation.as_ref().map_or(0, |of| lost(of, data).count()),
            evaluation,
            pictures: Vec::new(),
        }
    }

    fn lost_pictures(&self, packed: &Packed, data: &Dataset) -> Result<Vec<Picture>> {
        let Some(evaluation) = &self.evaluation else { return Ok(Vec::new()) };
        let mut pictures = Vec::new();
        for sample in lost(evaluation, data).take(MOST_PICTURES) {
            let Some(url) = picture(data, sample)? else { continue };
            let said = evaluation.predictions[sample];
            pictures.push(Picture {
                url,
                name: data.name(sample),
                class: data.label(sample).map(|class| packed.class(class)),
                float: packed.class(said.float),
                int8: packed.class(said.int8),
                small: data.shape().width < 64,
            });
        }
        Ok(pictures)
    }
}

/// Samples that only the float network gets right; without classes those that the two networks take for different ones.
fn lost<'a>(evaluation: &'a Evaluation, data: &'a Dataset) -> impl Iterator<Item = usize> + 'a {
    let is_lost = |sample: &usize| {
        let said = evaluation.predictions[*sample];
        said.float != said.int8 && data.label(*sample).is_none_or(|class| class == said.float)
    };
    (0..evaluation.predictions.len()).filter(is_lost)
}

/// A sample as a PNG file in a URL; `None` where it is no picture.
fn picture(data: &Dataset, sample: usize) -> Result<Option<String>> {
    let shape = data.shape();
    let color = match shape.channels {
        1 => ExtendedColorType::L8,
        3 => ExtendedColorType::Rgb8,
        _ => return Ok(None),
    };
    let (Ok(width), Ok(height)) = (u32::try_from(shape.width), u32::try_from(shape.height)) else {
        return Ok(None);
    };
    let Some(mut bytes) = data.bytes(sample)? else { return Ok(None) };
    if data.preprocessing().bgr {
        bytes.chunks_exact_mut(3).for_each(<[u8]>::reverse);
    }
    let mut png = Vec::new();
    PngEncoder::new(&mut png).write_image(&bytes, width, height, color)?;
    Ok(Some(format!("data:image/png;base64,{}", BASE64_STANDARD.encode(png))))
}

//! From a picture's bytes to a network's real and int8 inputs.

use std::fmt;
use std::str::FromStr;

use ocelli_format::PreprocessingTables;

use super::DataError;
use crate::graph::Quantization;

/// What bytes stand for: `real = byte * scale[channel] + offset[channel]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Preprocessing {
    /// One factor, or one a channel.
    pub scale: Vec<f32>,
    /// As many summands as factors.
    pub offset: Vec<f32>,
    /// Whether the network takes blue, green, red: pictures are read as red, green, blue and turned round. Scales and offsets are in the
    /// network's order.
    pub bgr: bool,
}

impl Default for Preprocessing {
    /// `byte / 255`.
    fn default() -> Self {
        Self::uniform(1.0 / 255.0, 0.0)
    }
}

impl Preprocessing {
    /// The same scale and offset for all channels.
    pub fn uniform(scale: f32, offset: f32) -> Self {
        Self { scale: vec![scale], offset: vec![offset], bgr: false }
    }

    /// Refuses scales that do not fit a number of channels, or are no scales.
    pub(super) fn check(&self, channels: usize) -> Result<(), DataError> {
        let refuse = |reason: String| Err(DataError::Preprocessing { given: self.to_string(), reason });
        if self.scale.len() != self.offset.len() || ![1, channels].contains(&self.scale.len()) {
            return refuse(format!(
                "it has {} scales and {} offsets for {channels} channels",
                self.scale.len(),
                self.offset.len()
            ));
        }
        if !self.scale.iter().all(|scale| scale.is_normal() && *scale > 0.0) {
            return refuse("scales must be above zero".to_owned());
        }
        if !self.offset.iter().all(|offset| offset.is_finite()) {
            return refuse("offsets must be numbers".to_owned());
        }
        if self.bgr && channels != 3 {
            return refuse(format!("blue, green, red is an order of 3 channels, not of {channels}"));
        }
        Ok(())
    }

    pub(super) fn apply(&self, bytes: impl Iterator<Item = f32>, channels: usize) -> Vec<f32> {
        let last = self.scale.len() - 1;
        bytes
            .enumerate()
            .map(|(at, byte)| {
                let channel = (at % channels).min(last);
                byte * self.scale[channel] + self.offset[channel]
            })
            .collect()
    }

    /// The int8 input of each byte of a picture, for packed models: a table for all channels or one a channel.
    ///
    /// Where the quantization's scale is that of the bytes and the bytes fill its range, byte `b` becomes `b - 128`, so that none is lost
    /// to rounding; the half step by which the zero point may be off is constant and a matter of the first layer's bias.
    pub fn tables(&self, quantization: Quantization) -> PreprocessingTables {
        let table = |(&scale, &offset): (&f32, &f32)| {
            let step = f64::from(scale) / f64::from(quantization.scale);
            let first =
                f64::from(offset) / f64::from(quantization.scale) + f64::from(quantization.zero_point);
            let exact = (step - 1.0).abs() < 1e-4 && (first + 128.0).abs() < 0.51;
            std::array::from_fn(|byte| {
                if exact {
                    (byte as i32 - 128) as i8
                } else {
                    nearest(byte as f32 * scale + offset, quantization)
                }
            })
        };
        PreprocessingTables {
            bgr: self.bgr,
            tables: self.scale.iter().zip(&self.offset).map(table).collect(),
        }
    }

    /// The quantization under which bytes (or int8 values, if `signed`) fill the int8 range, if all channels have one scale and offset and
    /// zero is in the range.
    pub(super) fn grid(&self, signed: bool) -> Option<Quantization> {
        let (&scale, &offset) = (self.scale.first()?, self.offset.first()?);
        if self.scale.iter().any(|&other| other != scale) || self.offset.iter().any(|&other| other != offset)
        {
            return None;
        }
        let lowest = if signed { f64::from(offset) - 128.0 * f64::from(scale) } else { f64::from(offset) };
        let zero_point = (-128.0 - lowest / f64::from(scale) + 0.5).floor();
        (-128.0..=127.0).contains(&zero_point).then_some(Quantization { scale, zero_point: zero_point as i8 })
    }
}

/// The int8 value nearest to a real value, saturated, as the engine's `TensorInfo::quantize`.
pub(super) fn nearest(value: f32, quantization: Quantization) -> i8 {
    let steps = (value / quantization.scale).round() + f32::from(quantization.zero_point);
    steps.clamp(-128.0, 127.0) as i8
}

impl FromStr for Preprocessing {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        let refuse = |reason: String| DataError::Preprocessing { given: text.to_owned(), reason };
        Ok(match text {
            "unit" => Self::uniform(1.0 / 255.0, 0.0),
            "symmetric" => Self::uniform(1.0 / 127.5, -1.0),
            "raw" => Self::uniform(1.0, 0.0),
            "imagenet" => {
                let (mean, deviation) = ([0.485_f32, 0.456, 0.406], [0.229_f32, 0.224, 0.225]);
                Self {
                    scale: deviation.iter().map(|deviation| 1.0 / 255.0 / deviation).collect(),
                    offset: mean.iter().zip(deviation).map(|(mean, deviation)| -mean / deviation).collect(),
                    bgr: false,
                }
            }
            numbers => {
                let numbers: Vec<f32> = numbers
                    .split(',')
                    .map(|number| {
                        number.trim().parse().map_err(|_| refuse(format!("`{number}` is not a number")))
                    })
                    .collect::<Result<_, _>>()?;
                if !numbers.len().is_multiple_of(2) {
                    return Err(refuse("it has a scale without an offset".to_owned()));
                }
                let (scale, offset) = numbers.split_at(numbers.len() / 2);
                Self { scale: scale.to_vec(), offset: offset.to_vec(), bgr: false }
            }
        })
    }
}

impl fmt::Display for Preprocessing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.scale.iter().chain(&self.offset).map(f32::to_string).collect();
        formatter.write_str(&numbers.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exact_grid_keeps_every_byte_apart() {
        for name in ["unit", "symmetric", "raw"] {
            let preprocessing: Preprocessing = name.parse().unwrap();
            let tables = preprocessing.tables(preprocessing.grid(false).unwrap());
            assert!((0..256).all(|byte| i32::from(tables.tables[0][byte]) == byte as i32 - 128), "{name}");
        }
    }

    #[test]
    fn signed_bytes_keep_their_values() {
        let preprocessing = Preprocessing::uniform(0.5, -41.5);
        assert_eq!(preprocessing.grid(true), Some(Quantization { scale: 0.5, zero_point: 83 }));
        let real = preprocessing.apply([-128.0, 83.0, 127.0].into_iter(), 1);
        let back: Vec<i8> =
            real.iter().map(|&value| nearest(value, preprocessing.grid(true).unwrap())).collect();
        assert_eq!(back, [-128, 83, 127]);
    }

    #[test]
    fn a_scale_a_channel_has_no_common_grid() {
        let preprocessing: Preprocessing = "imagenet".parse().unwrap();
        assert_eq!(preprocessing.grid(false), None);
        let tables = preprocessing.tables(Quantization { scale: 4.8 / 255.0, zero_point: -14 }).tables;
        assert_eq!(tables.len(), 3);
        assert!(tables[0][0] < tables[0][255]);
    }

    #[test]
    fn what_is_no_preprocessing_is_refused() {
        for text in ["units", "1", "1,2,3", ""] {
            let error = text.parse::<Preprocessing>().unwrap_err().to_string();
            assert!(error.contains("symmetric"), "{error}");
        }
        assert!("0,0".parse::<Preprocessing>().unwrap().check(1).is_err());
        assert!("imagenet".parse::<Preprocessing>().unwrap().check(1).is_err());
    }
}

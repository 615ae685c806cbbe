//! The tensors of a TFLite file: shapes, types, quantization and constant data.

use half::f16;

use super::super::constant::{Constant, bounded_count, element_count};
use super::super::error::Refusal;
use super::reader::Table;
use super::schema::{buffer, kind, quantization, tensor};
use crate::graph::Quantization;

/// More axes than any tensor of a network has.
const MAX_AXES: usize = 8;

/// One tensor of the file. What is wrong with it is only told to whoever uses it.
pub(super) struct TensorInfo<'a> {
    pub name: String,
    pub kind: u8,
    shape: &'a [[u8; 4]],
    scales: &'a [[u8; 4]],
    zero_points: &'a [[u8; 8]],
    data: Result<&'a [u8], String>,
    sparse: bool,
}

impl<'a> TensorInfo<'a> {
    /// `file` is the whole file: large models keep data behind the flatbuffer.
    pub fn read(table: Table<'a>, buffers: &[Table<'a>], file: &'a [u8]) -> Result<Self, Refusal> {
        let parameters = table.table(tensor::QUANTIZATION)?;
        let index = table.int(tensor::BUFFER, 0)? as u32 as usize;
        let data = match buffers.get(index) {
            None => Err(format!("its buffer {index} is not there")),
            Some(buffer) => {
                let (offset, size) = (buffer.long(buffer::OFFSET)?, buffer.long(buffer::SIZE)?);
                if offset > 1 {
                    let range = usize::try_from(offset).ok().zip(offset.checked_add(size));
                    let data = range.and_then(|(start, end)| file.get(start..usize::try_from(end).ok()?));
                    data.ok_or_else(|| "its data lies outside the file".to_owned())
                } else {
                    Ok(buffer.bytes(buffer::DATA)?)
                }
            }
        };
        Ok(Self {
            name: table.text(tensor::NAME)?,
            kind: table.byte(tensor::TYPE)?,
            shape: table.numbers(tensor::SHAPE)?,
            scales: parameters.map_or(Ok(Default::default()), |table| table.numbers(quantization::SCALE))?,
            zero_points: parameters
                .map_or(Ok(Default::default()), |table| table.numbers(quantization::ZERO_POINT))?,
            data,
            sparse: table.table(tensor::SPARSITY)?.is_some(),
        })
    }

    /// A refusal that names this tensor.
    fn refuse(&self, reason: impl std::fmt::Display, remedy: &str) -> Refusal {
        Refusal::new(format!("tensor '{}': {reason}", self.name), remedy)
    }

    fn damaged(&self, reason: impl std::fmt::Display) -> Refusal {
        self.refuse(reason, "the file is damaged or was written wrongly: export it again")
    }

    pub fn dims(&self) -> Result<Vec<usize>, Refusal> {
        if self.shape.len() > MAX_AXES {
            return Err(self.damaged(format!("{} axes", self.shape.len())));
        }
        let sizes: Vec<i32> = self.shape.iter().map(|&size| i32::from_le_bytes(size)).collect();
        let dims: Result<Vec<usize>, _> = sizes.iter().map(|&size| usize::try_from(size)).collect();
        let dims = dims.map_err(|_| self.damaged(format!("a negative size in its shape {sizes:?}")))?;
        bounded_count(&dims).map_err(|refusal| self.damaged(refusal.reason))?;
        Ok(dims)
    }

    fn scales(&self) -> Vec<f32> {
        self.scales.iter().map(|&scale| f32::from_le_bytes(scale)).collect()
    }

    fn zero_points(&self) -> Vec<i64> {
        self.zero_points.iter().map(|&zero| i64::from_le_bytes(zero)).collect()
    }

    pub fn has_data(&self) -> bool {
        self.data.as_ref().map_or(true, |data| !data.is_empty())
    }

    pub fn is_quantized(&self) -> bool {
        matches!(self.kind, kind::INT8 | kind::UINT8)
    }

    /// The quantization of an activation; `None` for float.
    pub fn activation_quantization(&self) -> Result<Option<Quantization>, Refusal> {
        let offset = match self.kind {
            kind::FLOAT32 => return Ok(None),
            kind::INT8 => 0,
            kind::UINT8 => 128,
            other => {
                return Err(self.refuse(
                    format!("activations of type {}", kind::name(other)),
                    "convert to float32 or to full int8 quantization",
                ));
            }
        };
        match (self.scales().as_slice(), self.zero_points().as_slice()) {
            (&[scale], zeros @ ([] | [_])) => {
                self.check_scale(scale)?;
                let zero = zeros.first().copied().unwrap_or(0);
                let zero_point =
                    zero.checked_sub(offset).and_then(|zero| i8::try_from(zero).ok()).ok_or_else(|| {
                        self.damaged(format!(
                            "a zero point of {zero}, outside its type {}",
                            kind::name(self.kind)
                        ))
                    })?;
                Ok(Some(Quantization { scale, zero_point }))
            }
            ([], _) => Err(self
                .refuse("an int8 activation without a scale", "convert with full int8 quantization again")),
            (scales, _) => Err(self.refuse(
                format!("an activation with {} scales", scales.len()),
                "convert with one scale for each activation tensor",
            )),
        }
    }

    fn check_scale(&self, scale: f32) -> Result<(), Refusal> {
        if scale.is_finite() && scale > 0.0 {
            Ok(())
        } else {
            Err(self.damaged(format!("a scale of {scale}, which must be finite and above 0")))
        }
    }

    fn data(&self, element: usize) -> Result<&'a [u8], Refusal> {
        if self.sparse {
            return Err(self.refuse("sparse weights", "convert without sparsity"));
        }
        let dims = self.dims()?;
        let count = element_count(&dims).map_err(|refusal| self.damaged(refusal.reason))?;
        let data = *self.data.as_ref().map_err(|reason| self.damaged(reason))?;
        if data.len() != count * element {
            return Err(self.damaged(format!(
                "its shape {dims:?} needs {} bytes, the file holds {}",
                count * element,
                data.len()
            )));
        }
        Ok(data)
    }

    /// Int8 data; uint8 moves by 128.
    pub fn int8_data(&self) -> Result<Vec<i8>, Refusal> {
        let data = self.data(1)?;
        Ok(match self.kind {
            kind::UINT8 => data.iter().map(|&byte| (byte ^ 0x80) as i8).collect(),
            _ => data.iter().map(|&byte| byte as i8).collect(),
        })
    }

    /// Int8 or uint8 weights less their zero points, and one scale for each of `channels`.
    pub fn int8_weights(&self, channels: usize) -> Result<(Vec<i8>, Vec<f32>), Refusal> {
        let (scales, zero_points) = (self.scales(), self.zero_points());
        let scales = match scales.as_slice() {
            &[scale] => vec![scale; channels],
            scales if scales.len() == channels => scales.to_vec(),
            scales => {
                return Err(self.damaged(format!("{} weight scales for {channels} channels", scales.len())));
            }
        };
        scales.iter().try_for_each(|&scale| self.check_scale(scale))?;
        if self.kind == kind::INT8 {
            if let Some(zero) = zero_points.iter().find(|&&zero| zero != 0) {
                return Err(self.refuse(
                    format!("int8 weights with a zero point of {zero}"),
                    "quantize weights symmetrically (zero point 0), as TensorFlow's converter does",
                ));
            }
            return Ok((self.int8_data()?, scales));
        }
        let zero = zero_points.first().copied().unwrap_or(0);
        if zero_points.iter().any(|&other| other != zero) {
            return Err(
                self.refuse("uint8 weights with several zero points", "convert with int8 quantization again")
            );
        }
        let shifted =
            self.data(1)?.iter().map(|&byte| i8::try_from(i64::from(byte) - zero.clamp(-1024, 1024)));
        let values = shifted.collect::<Result<Vec<_>, _>>().map_err(|_| {
            self.refuse(
                format!("uint8 weights that less their zero point {zero} do not fit 8 signed bits"),
                "convert the float network to int8, or give the float network to Ocelli to quantize",
            )
        })?;
        Ok((values, scales))
    }

    pub fn int32_data(&self) -> Result<Vec<i32>, Refusal> {
        if self.kind != kind::INT32 {
            return Err(self.refuse(
                format!("a bias of type {} where INT32 is expected", kind::name(self.kind)),
                "convert with int8 activations and int32 biases",
            ));
        }
        Ok(self.data(4)?.as_chunks().0.iter().map(|&bytes| i32::from_le_bytes(bytes)).collect())
    }

    /// A constant as real values, or as integers where it has no quantization (axes, shapes).
    pub fn constant(&self) -> Result<Constant, Refusal> {
        let dims = self.dims()?;
        Ok(match self.kind {
            kind::FLOAT32 => {
                let data = self.data(4)?;
                Constant::float(
                    dims,
                    data.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect(),
                )
            }
            kind::FLOAT16 => {
                let data = self.data(2)?;
                let wide = data.as_chunks().0.iter().map(|&bytes| f16::from_le_bytes(bytes).to_f32());
                Constant::float(dims, wide.collect())
            }
            kind::INT32 => Constant::int(dims, self.int32_data()?.into_iter().map(i64::from).collect()),
            kind::INT64 => {
                let data = self.data(8)?;
                Constant::int(
                    dims,
                    data.as_chunks().0.iter().map(|&bytes| i64::from_le_bytes(bytes)).collect(),
                )
            }
            kind::INT8 | kind::UINT8 => {
                let own = self.activation_quantization()?.ok_or_else(|| self.damaged("no quantization"))?;
                let zero = f32::from(own.zero_point);
                let real = self.int8_data()?.into_iter().map(|value| own.scale * (f32::from(value) - zero));
                Constant::float(dims, real.collect())
            }
            other => {
                return Err(self.refuse(
                    format!("a constant of type {}", kind::name(other)),
                    "convert to float32 or to full int8 quantization",
                ));
            }
        })
    }

    /// Real weights; int8 with one scale an output channel (`channel_axis`) is widened (dynamic-range quantization).
    pub fn real_weights(&self, channel_axis: usize) -> Result<Constant, Refusal> {
        let dims = self.dims()?;
        let constant = if self.is_quantized() {
            let channels = *dims.get(channel_axis).ok_or_else(|| self.damaged("too few axes"))?;
            let (values, scales) = self.int8_weights(channels)?;
            let inner: usize = dims[channel_axis + 1..].iter().product();
            let real = values.iter().enumerate();
            let real = real.map(|(index, &value)| scales[index / inner % channels] * f32::from(value));
            Constant::float(dims, real.collect())
        } else {
            self.constant()?
        };
        match constant.floats().iter().find(|value| !value.is_finite()) {
            Some(value) => Err(self.refuse(
                format!("holds a value that is {value}"),
                "training has diverged: train or export again",
            )),
            None => Ok(constant),
        }
    }
}

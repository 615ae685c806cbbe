//! Functions of one value.

/// A function applied to each element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// `min(max(x, min), max)`; ReLU is `0..inf`, ReLU6 `0..6`.
    Clip {
        /// Lower bound, may be `-inf`.
        min: f32,
        /// Upper bound, may be `inf`.
        max: f32,
    },
    /// `x < 0 ? slope * x : x`.
    LeakyRelu {
        /// Slope of the negative half.
        slope: f32,
    },
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// `x * sigmoid(x)`, also called Swish.
    Silu,
    /// `x / 2 * (1 + erf(x / sqrt 2))`.
    Gelu,
    /// `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))`.
    GeluTanh,
    /// `x * min(max(x / 6 + 1 / 2, 0), 1)`.
    HardSwish,
    /// `min(max(alpha * x + beta, 0), 1)`.
    HardSigmoid {
        /// Slope: 1/6 in PyTorch, 0.2 by ONNX's default.
        alpha: f32,
        /// Offset, 0.5 as a rule.
        beta: f32,
    },
    /// `scale * x + offset`: arithmetic with a constant.
    Affine {
        /// Factor.
        scale: f32,
        /// Summand.
        offset: f32,
    },
}

impl Activation {
    /// `max(x, 0)`.
    pub const RELU: Self = Self::Clip { min: 0.0, max: f32::INFINITY };
    /// `min(max(x, 0), 6)`.
    pub const RELU6: Self = Self::Clip { min: 0.0, max: 6.0 };

    /// The value at `x`, in double precision so that int8 tables round correctly.
    pub fn apply(&self, x: f64) -> f64 {
        match *self {
            Self::Clip { min, max } => x.max(f64::from(min)).min(f64::from(max)),
            Self::LeakyRelu { slope } => {
                if x < 0.0 {
                    f64::from(slope) * x
                } else {
                    x
                }
            }
            Self::Sigmoid => sigmoid(x),
            Self::Tanh => x.tanh(),
            Self::Silu => x * sigmoid(x),
            Self::Gelu => 0.5 * x * (1.0 + erf(x / std::f64::consts::SQRT_2)),
            Self::GeluTanh => {
                let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
                0.5 * x * (1.0 + inner.tanh())
            }
            Self::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
            Self::HardSigmoid { alpha, beta } => (f64::from(alpha) * x + f64::from(beta)).clamp(0.0, 1.0),
            Self::Affine { scale, offset } => f64::from(scale) * x + f64::from(offset),
        }
    }

    /// The arguments beyond which the function does not change, or by less than a step of int8 over its values can show.
    pub(crate) fn bends(&self) -> [f32; 2] {
        match *self {
            Self::Clip { min, max } => [min, max],
            Self::HardSwish => [-3.0, f32::INFINITY],
            Self::Silu => [-8.0, f32::INFINITY],
            Self::Gelu | Self::GeluTanh => [-4.0, f32::INFINITY],
            Self::HardSigmoid { alpha, beta } if alpha > 0.0 => [-beta / alpha, (1.0 - beta) / alpha],
            _ => [f32::NEG_INFINITY, f32::INFINITY],
        }
    }

    /// The name in tables and messages.
    pub fn name(&self) -> &'static str {
        match *self {
            Self::RELU => "ReLU",
            Self::RELU6 => "ReLU6",
            Self::Clip { .. } => "Clip",
            Self::LeakyRelu { .. } => "LeakyReLU",
            Self::Sigmoid => "Sigmoid",
            Self::Tanh => "Tanh",
            Self::Silu => "SiLU",
            Self::Gelu | Self::GeluTanh => "GELU",
            Self::HardSwish => "HardSwish",
            Self::HardSigmoid { .. } => "HardSigmoid",
            Self::Affine { .. } => "Affine",
        }
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The error function to double precision: its Taylor series near zero, the continued fraction of `erfc` beyond (Abramowitz and
/// Stegun 7.1.5 and 7.1.14).
fn erf(x: f64) -> f64 {
    let magnitude = x.abs();
    if magnitude > 6.0 {
        return x.signum();
    }
    if magnitude < 2.0 {
        let (mut term, mut sum, mut n) = (x, x, 0.0);
        while term.abs() > 1e-17 * sum.abs() {
            n += 1.0;
            term *= -x * x / n;
            sum += term / (2.0 * n + 1.0);
        }
        return sum * std::f64::consts::FRAC_2_SQRT_PI;
    }
    let mut fraction = 0.0;
    for k in (1..=60).rev() {
        fraction = f64::from(k) / 2.0 / (magnitude + fraction);
    }
    let erfc = (-magnitude * magnitude).exp() / (magnitude + fraction) / std::f64::consts::PI.sqrt();
    x.signum() * (1.0 - erfc)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn erf_matches_known_values() {
        for (x, expected) in [
            (0.0, 0.0),
            (0.5, 0.520_499_877_813_046_5),
            (1.999, 0.995_301_556_651_370_5),
            (2.001, 0.995_342_890_718_524_7),
            (-3.0, -0.999_977_909_503_001_4),
            (7.0, 1.0),
        ] {
            assert!((erf(x) - expected).abs() < 1e-12, "erf({x}) = {}", erf(x));
        }
    }
}

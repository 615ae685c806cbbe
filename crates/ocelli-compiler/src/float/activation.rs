//! Activations as ONNX operators.

use super::operators::Writer;
use super::protobuf::text;
use crate::graph::Activation;

impl Writer<'_> {
    pub(super) fn activation(&mut self, activation: &Activation, input: &str, output: &str) {
        let attribute = Self::float_attribute;
        match *activation {
            Activation::Clip { min, max } => {
                let min = self.constant(format!("{output}.min"), &[], &[min.max(f32::MIN)]);
                let max = self.constant(format!("{output}.max"), &[], &[max.min(f32::MAX)]);
                self.push("Clip", &[input, &min, &max], output, Vec::new());
            }
            Activation::LeakyRelu { slope } => {
                self.push("LeakyRelu", &[input], output, vec![attribute("alpha", slope)]);
            }
            Activation::Sigmoid => self.push("Sigmoid", &[input], output, Vec::new()),
            Activation::Tanh => self.push("Tanh", &[input], output, Vec::new()),
            Activation::Silu => {
                let gate = format!("{output}.gate");
                self.push("Sigmoid", &[input], &gate, Vec::new());
                self.push("Mul", &[input, &gate], output, Vec::new());
            }
            Activation::Gelu => self.push("Gelu", &[input], output, Vec::new()),
            Activation::GeluTanh => self.push("Gelu", &[input], output, vec![text("approximate", "tanh")]),
            Activation::HardSwish => self.push("HardSwish", &[input], output, Vec::new()),
            Activation::HardSigmoid { alpha, beta } => {
                let attributes = vec![attribute("alpha", alpha), attribute("beta", beta)];
                self.push("HardSigmoid", &[input], output, attributes);
            }
            Activation::Affine { scale, offset } => self.affine(scale, offset, input, output),
        }
    }
}

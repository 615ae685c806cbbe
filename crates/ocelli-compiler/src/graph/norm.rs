//! Normalization by the mean and variance of the map itself.

/// `gamma * (x - mean) / sqrt(variance + epsilon) + beta`, or without the mean `gamma * x / sqrt(mean(x^2) + epsilon) + beta`: one input.
/// The variance is that of the values themselves (divided by their number).
#[derive(Clone, Debug, PartialEq)]
pub struct Norm {
    /// Whether the mean is subtracted: LayerNorm and GroupNorm do, RMSNorm does not.
    pub centered: bool,
    /// What the mean and variance are over.
    pub over: NormExtent,
    /// Added to the variance; above 0.
    pub epsilon: f32,
    /// A factor a channel.
    pub gamma: Vec<f32>,
    /// A summand a channel.
    pub beta: Vec<f32>,
}

/// Values that are normalized together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormExtent {
    /// The channels of each pixel alone: LayerNorm of tokens.
    Channels,
    /// The whole map: GroupNorm of one group.
    Map,
}

impl Norm {
    /// What is wrong with it for maps of as many channels.
    pub(super) fn check(&self, channels: usize) -> Result<(), String> {
        let finite = |values: &[f32]| values.iter().all(|value| value.is_finite());
        if self.gamma.len() != channels || self.beta.len() != channels {
            return Err(format!(
                "it has {} factors and {} summands for {channels} channels",
                self.gamma.len(),
                self.beta.len()
            ));
        }
        if !finite(&self.gamma) || !finite(&self.beta) {
            return Err(
                "its weights are infinite or not numbers: train or export the network again".to_owned()
            );
        }
        if !(self.epsilon > 0.0 && self.epsilon.is_finite()) {
            return Err(format!(
                "its epsilon is {}; it must be above 0: export the network with the usual 1e-5",
                self.epsilon
            ));
        }
        Ok(())
    }

    /// The name in tables and messages.
    pub fn name(&self) -> &'static str {
        match (self.centered, self.over) {
            (true, NormExtent::Channels) => "LayerNorm",
            (true, NormExtent::Map) => "GroupNorm",
            (false, _) => "RMSNorm",
        }
    }
}

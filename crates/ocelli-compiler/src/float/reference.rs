//! ONNX files run as they are, independent of Ocelli's importer.

use std::path::Path;

use super::FloatError;
use super::model::Engine;

/// An ONNX file in the float engine.
pub struct OnnxReference {
    engine: Engine,
    input_dims: Vec<usize>,
}

impl OnnxReference {
    /// Opens a file of one input; axes that the file leaves open are taken as 1.
    ///
    /// # Errors
    /// If the engine refuses the file.
    pub fn open(path: &Path) -> Result<Self, FloatError> {
        let name = path.display().to_string();
        crate::import::check_onnx(path)
            .map_err(|error| FloatError::Load { name: name.clone(), reason: error.to_string() })?;
        let mut options = rten::ModelOptions::with_all_ops();
        let model = options.enable_optimization(false).load_file(path);
        let model =
            model.map_err(|error| FloatError::Load { name: name.clone(), reason: error.to_string() })?;
        if model.input_ids().len() != 1 {
            return Err(FloatError::InputCount { name, expected: model.input_ids().len(), found: 1 });
        }
        let input_dims = model.input_shape(0).unwrap_or_default();
        let input_dims = input_dims
            .iter()
            .map(|dim| match dim {
                rten::Dimension::Fixed(size) => *size,
                rten::Dimension::Symbolic(_) => 1,
            })
            .collect();
        Ok(Self { engine: Engine::of(model, name), input_dims })
    }

    /// The input's dimensions in the file.
    pub fn input_dims(&self) -> &[usize] {
        &self.input_dims
    }

    /// The first output for one input, both in the file's own order of axes.
    ///
    /// # Errors
    /// If the input has the wrong size, or the engine cannot run the file.
    pub fn run(&self, input: &[f32]) -> Result<Vec<f32>, FloatError> {
        let expected = self.input_dims.iter().product();
        if input.len() != expected {
            return Err(FloatError::InputSize {
                name: self.engine.name.clone(),
                expected,
                found: input.len(),
            });
        }
        let model = &self.engine.model;
        let (Some(&source), Some(&output)) = (model.input_ids().first(), model.output_ids().first()) else {
            return Err(FloatError::InputCount { name: self.engine.name.clone(), expected: 0, found: 1 });
        };
        let mut outputs = self.engine.run(&[(source, self.input_dims.clone(), input.to_vec())], &[output])?;
        Ok(outputs.pop().unwrap_or_default())
    }
}

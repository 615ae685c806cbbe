//! Attention and norms as exporters write them: recognised at every operator set, and equal to onnxruntime's output.

mod import_common;

use std::collections::BTreeMap;
use std::path::PathBuf;

use import_common::golden;
use import_common::repository;
use ocelli_compiler::float::FloatModel;
use ocelli_compiler::graph::{Attention, Operator};
use ocelli_compiler::import::{self, Imported};
use ocelli_compiler::simplify::simplify;

const FOLDER: &str = "attention";
const OPSETS: [&str; 5] = ["11", "13", "17", "18_dynamo", "21_dynamo"];

fn file(stem: &str) -> PathBuf {
    repository().join("tests/golden").join(FOLDER).join(format!("{stem}.onnx"))
}

fn cases() -> serde_json::Value {
    let path = repository().join("tests/golden").join(FOLDER).join("cases.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn count(imported: &Imported, wanted: impl Fn(&Operator) -> bool) -> u64 {
    imported.graph.nodes.iter().filter(|node| wanted(&node.operator)).count() as u64
}

/// Attentions, separable attentions, norms.
fn found(imported: &Imported) -> [u64; 3] {
    [
        count(imported, |operator| matches!(operator, Operator::Attention(_))),
        count(imported, |operator| matches!(operator, Operator::SeparableAttention { .. })),
        count(imported, |operator| matches!(operator, Operator::Norm(_))),
    ]
}

/// The largest difference to the golden outputs, in units of the largest magnitude.
fn difference(imported: &Imported, stem: &str) -> Result<f32, String> {
    let golden = golden::read(&file(stem).with_extension("golden"));
    let model = FloatModel::new(&imported.graph).map_err(|error| error.to_string())?;
    let mut largest = 0f32;
    for sample in 0..golden.count {
        let inputs: Vec<Vec<f32>> = (imported.inputs.iter().zip(&golden.inputs))
            .map(|(edge, tensor)| edge.from_file(&tensor.samples[sample]))
            .collect();
        let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
        let output = model.run_inputs(&inputs).map_err(|error| error.to_string())?;
        let output = imported.outputs[0].to_file(&output);
        let expected = &golden.outputs[0].samples[sample];
        if output.len() != expected.len() {
            return Err(format!("{} elements, expected {}", output.len(), expected.len()));
        }
        let scale = expected.iter().fold(1e-3f32, |scale, value| scale.max(value.abs()));
        for (found, expected) in output.iter().zip(expected) {
            let difference = (found - expected).abs() / scale;
            largest = largest.max(if difference.is_nan() { f32::INFINITY } else { difference });
        }
    }
    Ok(largest)
}

/// What is wrong with a case, if anything.
fn check(stem: &str, case: &serde_json::Value) -> Result<(), String> {
    let mut imported = import::load(&file(stem)).map_err(|error| error.to_string())?;
    let expected = ["attention", "separable_attention", "norm"].map(|kind| case[kind].as_u64().unwrap());
    let found = found(&imported);
    if found != expected {
        let operators: Vec<String> = imported.graph.summary().into_iter().map(|row| row.operator).collect();
        return Err(format!(
            "{found:?} attentions, separable attentions and norms, expected {expected:?}: {operators:?}"
        ));
    }
    let products =
        count(&imported, |operator| matches!(operator, Operator::MatMul { .. } | Operator::Softmax { .. }));
    let patch: [usize; 2] = serde_json::from_value(case["patch"].clone()).unwrap();
    let heads = case["heads"].as_u64().unwrap() as usize;
    for node in &imported.graph.nodes {
        let fits = match &node.operator {
            Operator::Attention(attention) => {
                attention.heads == heads && attention.patch == patch && attention.key_patch == patch
            }
            Operator::SeparableAttention { patch: own } => *own == patch,
            _ => true,
        };
        if !fits {
            return Err(format!("{:?}, expected {heads} heads and patches of {patch:?}", node.operator));
        }
        // MobileViT's patches are index arithmetic, not copies.
        if patch != [1, 1] && matches!(node.operator, Operator::Transpose { .. } | Operator::Reshape) {
            return Err(format!("'{}' moves data", node.name));
        }
    }
    // Cases in which nothing is to be recognised are attentions that run as plain operators.
    if (products == 0) != (expected != [0; 3]) {
        return Err(format!("{products} matrix products and softmaxes are left"));
    }
    for stage in ["imported", "simplified"] {
        let difference = difference(&imported, stem).map_err(|error| format!("{stage}: {error}"))?;
        if difference > 1e-4 {
            return Err(format!("{stage}: differs by {difference} of the largest output"));
        }
        simplify(&mut imported.graph);
    }
    Ok(())
}

/// Prints the table of sources and operator sets: `ok`, or `-` where PyTorch cannot write the file.
#[test]
fn attention_and_norms_are_recognised_from_every_exporter() {
    let cases = cases();
    let mut table = BTreeMap::new();
    let mut failed = Vec::new();
    let mut checked = 0;
    for (name, case) in cases["cases"].as_object().unwrap() {
        for opset in OPSETS {
            let stem = format!("{name}_opset{opset}");
            let cell = if cases["not_exported"].get(&stem).is_some() {
                assert!(!file(&stem).exists(), "{stem} is there and listed as not exported");
                "-"
            } else {
                checked += 1;
                match check(&stem, case) {
                    Ok(()) => "ok",
                    Err(error) => {
                        failed.push(format!("{stem}: {error}"));
                        "FAILED"
                    }
                }
            };
            table.entry(name.clone()).or_insert_with(Vec::new).push(cell);
        }
    }
    println!("{:28} {}", "", OPSETS.map(|opset| format!("{opset:>10}")).join(""));
    for (name, cells) in &table {
        println!("{name:28} {}", cells.iter().map(|cell| format!("{cell:>10}")).collect::<String>());
    }
    assert!(failed.is_empty(), "{} of {checked} differ:\n{}", failed.len(), failed.join("\n"));
    assert!(checked > 150, "only {checked} files");
}

#[test]
fn a_missed_attention_says_why_and_what_it_costs() {
    for (case, why) in [
        ("hand_weights_out", "its weights are also an output"),
        ("hand_temperature", "not a scale, a constant mask and a softmax over the keys"),
    ] {
        for opset in OPSETS {
            let imported = import::load(&file(&format!("{case}_opset{opset}"))).unwrap();
            let [note] = imported.notes.as_slice() else { panic!("{case} at {opset}: {:?}", imported.notes) };
            let softmax =
                imported.graph.nodes.iter().find(|node| matches!(node.operator, Operator::Softmax { .. }));
            assert!(note.contains(why) && note.contains(&softmax.unwrap().name), "{note}");
            // 6 queries and 6 keys, for each of the heads.
            let bytes = if case == "hand_temperature" { 2 * 36 } else { 36 };
            assert!(note.contains(&format!("with {bytes} bytes")), "{note}");
        }
    }
    let recognised = import::load(&file("hand_apart_opset17")).unwrap();
    assert!(recognised.notes.is_empty(), "{:?}", recognised.notes);
}

/// The attention of a case.
fn attention(stem: &str) -> Attention {
    let imported = import::load(&file(stem)).unwrap();
    let attention = imported.graph.nodes.into_iter().find_map(|node| match node.operator {
        Operator::Attention(attention) => Some(attention),
        _ => None,
    });
    attention.unwrap()
}

#[test]
fn masks_are_kept_as_small_as_they_are() {
    for case in ["hand_sdpa_causal", "hand_sdpa_boolean", "hand_masked_fill", "hand_multihead_causal"] {
        for opset in ["17", "18_dynamo", "21_dynamo"] {
            let attention = attention(&format!("{case}_opset{opset}"));
            assert!(attention.causal && attention.bias.is_none(), "{case} at {opset}: {attention:?}");
        }
    }
    for case in ["hand_sdpa_keys", "hand_sdpa_lowest"] {
        let attention = attention(&format!("{case}_opset17"));
        let bias = attention.bias.unwrap();
        let hidden = f32::NEG_INFINITY;
        assert!(!attention.causal);
        assert_eq!((bias.heads, bias.queries, bias.values), (1, 1, vec![0.0, 0.0, 0.0, 0.0, hidden, hidden]));
    }
    let bias = attention("hand_position_bias_opset13").bias.unwrap();
    assert_eq!((bias.heads, bias.queries, bias.values.len()), (2, 6, 72));
}

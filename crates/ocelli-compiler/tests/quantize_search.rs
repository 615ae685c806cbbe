//! Ranges searched against the error of the output.

mod digits_common;

use digits_common::{graph, pictures};
use ocelli_compiler::calibrate::ranges::RangeMethod;
use ocelli_compiler::quantize::{Effort, Options, Quantized, quantize};

fn output_sqnr_db(quantized: &Quantized) -> f64 {
    quantized.report.last().unwrap().sqnr_db
}

#[test]
fn searched_ranges_undo_some_of_what_clipping_costs() {
    let graph = graph();
    let data = pictures(&graph, "calibration");
    let with = |effort| {
        let ranges = RangeMethod::Percentile(99.0);
        let options = Options { ranges, samples: 40, effort, ..Options::default() };
        quantize(&graph, &data, &options, &|_, _, _| {}).unwrap()
    };
    let (low, high) = (with(Effort::Low), with(Effort::High));
    let [before, after] = [&low, &high].map(output_sqnr_db);
    println!("{before:.1} dB, {after:.1} dB searched, {} remedies", high.remedies.len());
    assert!(after > before + 1.0, "{before} dB, {after} dB searched");
    assert!(!low.remedies.is_empty() && low.remedies.iter().all(|remedy| !remedy.adopted));
    assert!(low.remedies.windows(2).all(|pair| pair[0].gain_db >= pair[1].gain_db));
    assert!(high.remedies.iter().any(|remedy| remedy.adopted));

    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let alone = pool.install(|| with(Effort::High));
    assert_eq!(alone.remedies, high.remedies);
    assert_eq!(alone.report, high.report);
}

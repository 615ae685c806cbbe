//! Data sets of every kind, and every kind of damage: errors name the file and the remedy.

use std::path::{Path, PathBuf};

use image::{GrayImage, Luma, Rgb, RgbImage};
use ocelli_compiler::calibrate::data::{DataOptions, Dataset, Element, Preprocessing};
use ocelli_compiler::graph::{Quantization, Shape};

const SHAPE: Shape = Shape::new(4, 4, 3);

fn raw_pixels() -> DataOptions {
    DataOptions { preprocessing: Preprocessing::uniform(1.0, 0.0), ..DataOptions::default() }
}

fn open(path: &Path, shape: Shape, options: &DataOptions) -> Result<Dataset, String> {
    Dataset::open(&[path.to_owned()], shape, options).map_err(|error| error.to_string())
}

/// A picture of one colour.
fn plain(width: u32, height: u32, colour: [u8; 3]) -> RgbImage {
    RgbImage::from_pixel(width, height, Rgb(colour))
}

fn save(folder: &Path, name: &str, picture: &RgbImage) -> PathBuf {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    picture.save(&path).unwrap();
    path
}

/// A NumPy file of bytes.
fn npy(dtype: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}");
    let padded = format!("{header:<117}\n");
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend_from_slice(&(padded.len() as u16).to_le_bytes());
    file.extend_from_slice(padded.as_bytes());
    file.extend_from_slice(data);
    file
}

#[test]
fn sub_folders_are_classes() {
    let folder = tempfile::tempdir().unwrap();
    for (name, value) in [("10/a.png", 1), ("2/b.jpg", 2), ("2/deeper/c.bmp", 3)] {
        save(folder.path(), name, &plain(4, 4, [value * 40; 3]));
    }
    std::fs::write(folder.path().join("2/notes.txt"), "no picture").unwrap();
    let data = open(folder.path(), SHAPE, &raw_pixels()).unwrap();
    assert_eq!(data.len(), 3);
    let labels: Vec<_> = (0..3).map(|index| data.label(index)).collect();
    assert_eq!(labels, [Some(2), Some(2), Some(10)], "numbers, in the order of numbers");

    let named = DataOptions { class_names: vec!["2".into(), "x".into(), "10".into()], ..raw_pixels() };
    let data = open(folder.path(), SHAPE, &named).unwrap();
    assert_eq!((data.label(0), data.label(2)), (Some(0), Some(2)));

    save(folder.path(), "loose.png", &plain(4, 4, [9; 3]));
    let data = open(folder.path(), SHAPE, &raw_pixels()).unwrap();
    assert!(!data.is_labelled(), "a picture in no sub-folder has no class");
}

#[test]
fn files_of_labels_go_before_sub_folders() {
    let folder = tempfile::tempdir().unwrap();
    save(folder.path(), "cat/a.png", &plain(4, 4, [1; 3]));
    save(folder.path(), "dog/b.png", &plain(4, 4, [2; 3]));
    let labelled = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        open(folder.path(), SHAPE, &DataOptions { labels: Some(path), ..raw_pixels() })
    };
    let labels = |data: Dataset| [data.label(0), data.label(1)];
    assert_eq!(labels(labelled("l.txt", "7\n8\n").unwrap()), [Some(7), Some(8)]);
    assert_eq!(labels(labelled("l.csv", "file,class\nb.png,3\ncat/a.png, 4\n").unwrap()), [Some(4), Some(3)]);
    assert_eq!(labels(labelled("l.u8", "\u{5}\u{6}").unwrap()), [Some(5), Some(6)]);
    for (name, content, expected) in [
        ("few.txt", "1\n", "1 labels for 2 inputs"),
        ("odd.txt", "1\nx\n", "`x` is neither"),
        ("missing.csv", "a.png,1\n", "no class for `b.png`"),
    ] {
        let error = labelled(name, content).unwrap_err();
        assert!(error.contains(expected) && error.contains(name), "{error}");
    }
}

#[test]
fn pictures_are_interpolated_between_pixel_centres() {
    let folder = tempfile::tempdir().unwrap();
    let mut picture = GrayImage::new(2, 1);
    picture.put_pixel(0, 0, Luma([0]));
    picture.put_pixel(1, 0, Luma([100]));
    let path = folder.path().join("two.png");
    picture.save(&path).unwrap();
    let data = open(&path, Shape::new(1, 4, 1), &raw_pixels()).unwrap();
    assert_eq!(data.input(0).unwrap(), [0.0, 25.0, 75.0, 100.0]);
}

#[test]
fn strips_hold_pictures_below_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let strip = RgbImage::from_fn(4, 12, |_, y| Rgb([(y / 4) as u8, 7, 9]));
    let path = save(folder.path(), "strip.png", &strip);
    let options = DataOptions { tile: Some([4, 4]), ..raw_pixels() };
    let data = open(&path, SHAPE, &options).unwrap();
    assert_eq!(data.len(), 3);
    assert_eq!(data.input(2).unwrap()[..3], [2.0, 7.0, 9.0]);
    let preprocessing = Preprocessing { bgr: true, ..options.preprocessing.clone() };
    let data = open(&path, SHAPE, &DataOptions { preprocessing, ..options }).unwrap();
    assert_eq!(data.input(2).unwrap()[..3], [9.0, 7.0, 2.0]);

    let data = open(&path, SHAPE, &DataOptions { tile: Some([4, 2]), ..raw_pixels() }).unwrap();
    assert_eq!(data.len(), 6, "pictures of 4x2, each enlarged");
    assert_eq!(data.input(5).unwrap().len(), SHAPE.len());
    let error = open(&path, SHAPE, &DataOptions { tile: Some([4, 5]), ..raw_pixels() }).unwrap_err();
    assert!(error.contains("no strip of pictures of 4x5"), "{error}");
}

#[test]
fn arrays_of_either_layout_give_the_same_samples() {
    let folder = tempfile::tempdir().unwrap();
    let shape = Shape::new(2, 3, 2);
    let last: Vec<u8> = (0..24).collect();
    let first: Vec<u8> = (0..24)
        .map(|at| {
            let (sample, channel, pixel) = (at / 12, at % 12 / 6, at % 6);
            (sample * 12 + pixel * 2 + channel) as u8
        })
        .collect();
    let floats: Vec<u8> = last.iter().flat_map(|&value| f32::from(value).to_le_bytes()).collect();
    for (name, bytes) in [
        ("last.npy", npy("|u1", "(2, 2, 3, 2)", &last)),
        ("first.npy", npy("|i1", "(2, 2, 2, 3)", &first)),
        ("flat.npy", npy("<f4", "(2, 12)", &floats)),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let data = open(&path, shape, &raw_pixels()).unwrap();
        assert_eq!(data.len(), 2, "{name}");
        let expected: Vec<f32> = (12..24).map(|value| value as f32).collect();
        assert_eq!(data.input(1).unwrap(), expected, "{name}");
    }
    let error = {
        let path = folder.path().join("turned.npy");
        std::fs::write(&path, npy("|u1", "(2, 3, 2, 2)", &last)).unwrap();
        open(&path, shape, &raw_pixels()).unwrap_err()
    };
    assert!(error.contains("turned.npy") && error.contains("transpose"), "{error}");
}

#[test]
fn raw_files_hold_any_number_of_samples() {
    let folder = tempfile::tempdir().unwrap();
    let shape = Shape::new(1, 1, 2);
    std::fs::write(folder.path().join("a.bin"), [0xff_u8, 2, 3, 4]).unwrap();
    std::fs::write(folder.path().join("b.bin"), [5u8, 6]).unwrap();
    let data = open(folder.path(), shape, &DataOptions { raw: Some(Element::I8), ..raw_pixels() }).unwrap();
    assert_eq!(data.len(), 3);
    assert_eq!(data.input(0).unwrap(), [-1.0, 2.0]);
    assert_eq!(data.input(2).unwrap(), [5.0, 6.0]);
    assert_eq!(data.quantized(0, Quantization { scale: 1.0, zero_point: 0 }).unwrap(), [-1, 2]);
    let error = open(&folder.path().join("a.bin"), shape, &raw_pixels()).unwrap_err();
    assert!(error.contains("u8, i8 or f32"), "{error}");
}

#[test]
fn what_is_no_data_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let error = open(folder.path(), SHAPE, &raw_pixels()).unwrap_err();
    assert!(error.contains("holds no inputs") && error.contains("folder of pictures"), "{error}");
    let error = open(&folder.path().join("nowhere"), SHAPE, &raw_pixels()).unwrap_err();
    assert!(error.contains("nowhere"), "{error}");

    for (name, bytes, expected) in [
        ("notes.txt", b"hello".to_vec(), "cannot tell what it holds"),
        ("odd.f32", vec![0; 50], "not a multiple of 192"),
        ("empty.u8", vec![], "not a multiple of 48"),
        ("small.npy", npy("|u1", "(1, 4, 4, 1)", &[0; 16]), "an array of shape [1, 4, 4, 1]"),
        ("wide.npy", npy("<i8", "(1, 4, 4, 3)", &[0; 384]), "not u8, i8, f32 or f64"),
    ] {
        let error = open(&write(name, &bytes), SHAPE, &raw_pixels()).unwrap_err();
        assert!(error.contains(name) && error.contains(expected), "{error}");
    }

    // A picture among pictures that is none is found when it is read.
    let pictures = folder.path().join("pictures");
    save(&pictures, "a.png", &plain(4, 4, [1; 3]));
    std::fs::write(pictures.join("b.png"), "no picture").unwrap();
    let data = open(&pictures, SHAPE, &raw_pixels()).unwrap();
    assert!(data.input(0).is_ok());
    let error = data.input(1).unwrap_err().to_string();
    assert!(error.contains("b.png") && error.contains("not a picture"), "{error}");
    let error = open(&pictures, Shape::new(4, 4, 2), &raw_pixels()).unwrap_err();
    assert!(error.contains("2 channels") && error.contains(".npy"), "{error}");
}

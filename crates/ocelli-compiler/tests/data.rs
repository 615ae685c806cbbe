//! Data sets: pictures and strips of them, arrays, names, and files that are damaged.

use std::io::Write;
use std::path::{Path, PathBuf};

use image::{Rgb, RgbImage};
use npyz::npz::{NpzWriter, file_name_from_array_name};
use ocelli_compiler::calibrate::data::{DataOptions, Dataset};
use ocelli_compiler::graph::Shape;
use tempfile::TempDir;

/// The header of an array.
fn plain(element: &str, shape: &str) -> String {
    format!("{{'descr': '{element}', 'fortran_order': False, 'shape': {shape}, }}\n")
}

/// The bytes of an array file.
fn file(header: &str, data: &[u8]) -> Vec<u8> {
    [b"\x93NUMPY\x01\x00", (header.len() as u16).to_le_bytes().as_slice(), header.as_bytes(), data].concat()
}

/// An array file whose header states this shape of 4-byte floats, and that holds `bytes` bytes.
fn array(folder: &Path, shape: &str, bytes: usize) -> PathBuf {
    header(folder, &plain("<f4", shape), bytes)
}

fn header(folder: &Path, header: &str, bytes: usize) -> PathBuf {
    let path = folder.join("array.npy");
    std::fs::write(&path, file(header, &vec![0; bytes])).unwrap();
    path
}

fn open(path: &Path, tile: Option<[usize; 2]>) -> Result<Dataset, String> {
    let options = DataOptions { tile, ..DataOptions::default() };
    Dataset::open(&[path.to_owned()], Shape::new(8, 8, 3), &options).map_err(|error| error.to_string())
}

/// A strip of 8x8 pictures whose bytes are 10, 20 and so on.
fn strip(path: &Path, pictures: u32) {
    let pixel = |_, y: u32| Rgb([(y / 8 + 1) as u8 * 10; 3]);
    RgbImage::from_fn(8, 8 * pictures, pixel).save(path).unwrap();
}

#[test]
fn an_array_is_read_and_its_samples_are_named() {
    let folder = TempDir::new().unwrap();
    let path = array(folder.path(), "(20, 8, 8, 3)", 20 * 192 * 4);
    let data = open(&path, None).unwrap();
    assert_eq!(data.len(), 20);
    assert_eq!(data.name(7), format!("{}[7]", path.display()));
    let data = open(&array(folder.path(), "(8, 8, 3)", 192 * 4), None).unwrap();
    assert_eq!((data.len(), data.name(0)), (1, path.display().to_string()));
}

#[test]
fn headers_that_state_more_than_the_file_holds_are_refused() {
    let folder = TempDir::new().unwrap();
    for (shape, named) in [
        ("(2000000000000000000, 8, 8, 3)", "2000000000000000000"),
        ("(1, 8, 9223372036854775808, 3, 2, 3)", "9223372036854775808"),
        ("(0, 9223372036854775808, 9223372036854775808)", "9223372036854775808"),
        ("(4611686018427387905, 8, 8, 3)", "4611686018427387905"),
        ("(99999999999999999999999, 8, 8, 3)", "plain numbers"),
        ("(-1, 8, 8, 3)", "plain numbers"),
        ("(2000000000, 8, 8, 3)", "cut or damaged"),
        ("(21, 8, 8, 3)", "cut or damaged"),
        ("(0, 8, 8, 3)", "empty"),
        ("(20, 8, 8, 4)", "[20, 8, 8, 4]"),
        ("[20, 8, 8, 3]", "plain numbers"),
        ("()", "shape []"),
    ] {
        let path = array(folder.path(), shape, 20 * 192 * 4);
        let message = open(&path, None).unwrap_err();
        assert!(message.contains("array.npy") && message.contains(named), "{shape}: {message}");
    }
    let nested = format!("{{'descr': {}", "[".repeat(60_000));
    let message = open(&header(folder.path(), &nested, 0), None).unwrap_err();
    assert!(message.contains("plain numbers"), "{message}");
    let parts = format!("{{'descr': {}", "(".repeat(60_000));
    assert!(open(&header(folder.path(), &parts, 0), None).is_err());
}

#[test]
fn an_array_cut_anywhere_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = array(folder.path(), "(2, 8, 8, 3)", 2 * 192 * 4);
    let bytes = std::fs::read(&path).unwrap();
    for length in (0..100).chain([bytes.len() - 1]) {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let message = open(&path, None).unwrap_err();
        assert!(message.contains("array.npy"), "{message}");
    }
}

/// An archive of these arrays, as files.
fn archive(folder: &Path, arrays: &[(&str, Vec<u8>)]) -> PathBuf {
    let path = folder.join("archive.npz");
    let mut writer = NpzWriter::create(&path).unwrap();
    for (name, bytes) in arrays {
        writer.zip_writer().start_file(file_name_from_array_name(name), Default::default()).unwrap();
        writer.zip_writer().write_all(bytes).unwrap();
    }
    drop(writer);
    path
}

#[test]
fn archives_are_read_and_damaged_ones_refused() {
    let folder = TempDir::new().unwrap();
    let inputs = file(&plain("<f4", "(2, 8, 8, 3)"), &[0; 2 * 192 * 4]);
    let classes = file(&plain("<i8", "(2,)"), &[3i64, 4].map(i64::to_le_bytes).concat());
    let path = archive(folder.path(), &[("x", inputs.clone()), ("y", classes)]);
    let data = open(&path, None).unwrap();
    assert_eq!((data.len(), data.label(0), data.label(1)), (2, Some(3), Some(4)));
    let bytes = std::fs::read(&path).unwrap();
    for cut in (0..bytes.len()).step_by(7) {
        std::fs::write(&path, &bytes[..cut]).unwrap();
        let message = open(&path, None).unwrap_err();
        assert!(message.contains("archive.npz"), "{message}");
    }
    for (shape, named) in [
        ("(2305843009213693953, 8)", "2305843009213693953"),
        ("(0, 9223372036854775808, 9223372036854775808)", "9223372036854775808"),
        ("(3,)", "cut or damaged"),
    ] {
        let huge = file(&plain("<i8", shape), &[0; 16]);
        let inputs_first = [("x", inputs.clone()), ("y", huge.clone())];
        for arrays in [inputs_first, [("x", huge), ("z", inputs.clone())]] {
            let message = open(&archive(folder.path(), &arrays), None).unwrap_err();
            assert!(message.contains("archive.npz") && message.contains(named), "{message}");
        }
    }
}

#[test]
fn a_picture_is_a_strip_only_where_its_tile_is_given() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("tall.png");
    strip(&path, 12);
    let whole = open(&path, None).unwrap();
    assert_eq!((whole.len(), whole.name(0)), (1, path.display().to_string()));
    let cut = open(&path, Some([8, 8])).unwrap();
    assert_eq!(cut.len(), 12);
    assert_eq!(cut.name(4), format!("{}[4]", path.display()));
    assert_eq!(cut.bytes(4).unwrap(), Some(vec![50; 192]));
    let message = open(&path, Some([8, 7])).unwrap_err();
    assert!(message.contains("tall.png") && message.contains("8x7"), "{message}");
}

#[test]
fn folders_of_strips_are_cut_too() {
    let folder = TempDir::new().unwrap();
    for (class, pictures) in [("cat", 1), ("dog", 3)] {
        std::fs::create_dir(folder.path().join(class)).unwrap();
        strip(&folder.path().join(class).join("p.png"), pictures);
    }
    let data = open(folder.path(), Some([8, 8])).unwrap();
    let labels: Vec<_> = (0..data.len()).map(|index| data.label(index).unwrap()).collect();
    assert_eq!(labels, [0, 1, 1, 1]);
    let names: Vec<_> = (0..data.len()).map(|index| data.name(index)).collect();
    assert!(names[0].ends_with("p.png") && names[0].contains("cat"), "{names:?}");
    assert!(names[3].ends_with("p.png[2]") && names[3].contains("dog"), "{names:?}");
    assert_eq!(data.bytes(3).unwrap(), Some(vec![30; 192]));
    assert_eq!(open(folder.path(), None).unwrap().len(), 2);
}

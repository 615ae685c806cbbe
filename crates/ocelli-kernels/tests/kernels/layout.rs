//! Operations that move values.

use ocelli_kernels::layout::{pad_row, place_row, slice_row, transpose_row};
use proptest::prelude::*;

use crate::maps::{Feature, feature, values, zero_point};

/// Two to four maps that agree but in the size of `axis`.
fn parts(axis: usize) -> impl Strategy<Value = Vec<Feature>> {
    ([1usize..6, 1usize..6, 1usize..9], proptest::collection::vec(1usize..7, 2..5)).prop_flat_map(
        move |(shape, sizes)| {
            let part =
                |size: usize| {
                    let mut shape = shape;
                    shape[axis] = size;
                    (values(shape.iter().product()), zero_point())
                        .prop_map(move |(values, zero_point)| Feature { values, shape, zero_point })
                };
            sizes.into_iter().map(part).collect::<Vec<_>>()
        },
    )
}

fn total(parts: &[Feature], axis: usize) -> usize {
    parts.iter().map(|part| part.shape[axis]).sum()
}

proptest! {
    #[test]
    fn placed_side_by_side_along_the_channels(parts in parts(2)) {
        let [height, width, _] = parts[0].shape;
        let channels = total(&parts, 2);
        for y in 0..height {
            let mut row = vec![0; width * channels];
            let mut first = 0;
            for part in &parts {
                place_row(&part.whole(), y, &mut row, channels, [0, first]).unwrap();
                first += part.shape[2];
            }
            let expected: Vec<i8> = (0..width)
                .flat_map(|x| parts.iter().flat_map(move |part| (0..part.shape[2]).map(move |c| part.at(y as i64, x as i64, c).unwrap())))
                .collect();
            prop_assert_eq!(row, expected);
        }
    }

    #[test]
    fn sliced_along_any_axis(input in feature(1usize..9), axis in 0usize..3, part: [prop::sample::Index; 2]) {
        let mut start = [0; 3];
        let mut shape = input.shape;
        start[axis] = part[0].index(shape[axis]);
        shape[axis] = 1 + part[1].index(shape[axis] - start[axis]);
        for y in 0..shape[0] {
            let mut row = vec![0; shape[1] * shape[2]];
            slice_row(&input.whole(), start, shape[2], y, &mut row).unwrap();
            let at = |x: usize, channel: usize| input.at((y + start[0]) as i64, (x + start[1]) as i64, channel + start[2]).unwrap();
            let expected: Vec<i8> = (0..shape[1]).flat_map(|x| (0..shape[2]).map(move |channel| at(x, channel))).collect();
            prop_assert_eq!(row, expected);
        }
        // One position too far along the axis.
        let mut beyond = start;
        beyond[axis] = input.shape[axis] + 1 - shape[axis];
        let refused = (0..shape[0]).any(|y| slice_row(&input.whole(), beyond, shape[2], y, &mut vec![0; shape[1] * shape[2]]).is_none());
        prop_assert!(refused);
    }

    #[test]
    fn placed_side_by_side_along_the_width(parts in parts(1)) {
        let [height, _, channels] = parts[0].shape;
        for y in 0..height {
            let mut row = vec![0; total(&parts, 1) * channels];
            let mut left = 0;
            for part in &parts {
                place_row(&part.whole(), y, &mut row, channels, [left, 0]).unwrap();
                left += part.shape[1];
            }
            let expected: Vec<i8> = parts
                .iter()
                .flat_map(|part| part.values[y * part.shape[1] * channels..][..part.shape[1] * channels].to_vec())
                .collect();
            prop_assert_eq!(row, expected);
        }
    }

    #[test]
    fn padded(input in feature(1usize..7), before in [0usize..4, 0usize..4], after in [0usize..4, 0usize..4], value: i8) {
        let [height, width, channels] = input.shape;
        for y in 0..before[0] + height + after[0] {
            let mut row = vec![0x33; (before[1] + width + after[1]) * channels];
            pad_row(&input.whole(), before, value, y, &mut row).unwrap();
            for (at, &found) in row.iter().enumerate() {
                let x = (at / channels) as i64 - before[1] as i64;
                let expected = input.at(y as i64 - before[0] as i64, x, at % channels).unwrap_or(value);
                prop_assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn transposed(input in feature(1usize..7), order in Just([0u8, 1, 2]).prop_shuffle()) {
        let [height, width, channels] = order.map(|axis| input.shape[usize::from(axis)]);
        for y in 0..height {
            let mut row = vec![0; width * channels];
            transpose_row(&input.whole(), order, channels, y, &mut row).unwrap();
            for x in 0..width {
                for channel in 0..channels {
                    let mut at = [0; 3];
                    for (axis, position) in order.into_iter().zip([y, x, channel]) {
                        at[usize::from(axis)] = position;
                    }
                    let expected = input.at(at[0] as i64, at[1] as i64, at[2]);
                    prop_assert_eq!(Some(row[x * channels + channel]), expected);
                }
            }
        }
    }
}

//! Borders of zeros go into the convolution that reads them.

use crate::graph::{Graph, Operator, Padding};

/// Folds the first border that fits. Exact in int8 too: a convolution's own border stands for 0, as this one does.
pub(super) fn fold(graph: &mut Graph) -> Option<String> {
    for index in 0..graph.nodes.len() {
        let Operator::Conv2d(conv) = &graph.nodes[index].operator else { continue };
        let Some(&input) = graph.nodes[index].inputs.first() else { continue };
        let Some(pad) = graph.producer(input).map(|producer| &graph.nodes[producer]) else { continue };
        let Operator::Pad { padding: border, value: 0.0 } = pad.operator else { continue };
        let source = pad.inputs[0];
        if graph.tensor(source).quantization != graph.tensor(input).quantization {
            continue;
        }
        let own = conv.window.padding;
        let padding = Padding {
            top: own.top + border.top,
            left: own.left + border.left,
            bottom: own.bottom + border.bottom,
            right: own.right + border.right,
        };
        // Engines may expect every window to touch the map.
        let reach = |axis: usize| (conv.window.kernel[axis] - 1) * conv.window.dilation[axis];
        if padding.top.max(padding.bottom) > reach(0) || padding.left.max(padding.right) > reach(1) {
            continue;
        }
        let what = format!("folded the border '{}' into '{}'", pad.name, graph.nodes[index].name);
        graph.nodes[index].inputs[0] = source;
        if let Operator::Conv2d(conv) = &mut graph.nodes[index].operator {
            conv.window.padding = padding;
        }
        return Some(what);
    }
    None
}

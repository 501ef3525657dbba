//! How trees are grown: gradient boosting by histograms. The only room that knows the crate that does it.

use super::Error;
use forust_ml::gradientbooster::{GradientBooster, GrowPolicy};
use forust_ml::objective::ObjectiveType;
use forust_ml::sampler::SampleMethod;
use forust_ml::{Matrix, tree};
use outband_health::model::{Forest, Node, Tree};
use std::collections::BTreeMap;

/// How trees are grown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Recipe {
    pub(super) trees: usize,
    pub(super) leaves: usize,
    pub(super) learning_rate: f32,
    /// Least sum of p(1-p) in a leaf: about a tenth of the rows.
    pub(super) leaf_weight: f32,
    pub(super) l2: f32,
    /// Shares of rows and of features that a tree sees.
    pub(super) rows: f32,
    pub(super) columns: f64,
}

impl Default for Recipe {
    fn default() -> Self {
        Recipe { trees: 120, leaves: 6, learning_rate: 0.05, leaf_weight: 10.0, l2: 30.0, rows: 0.7, columns: 0.2 }
    }
}

/// Grows a forest of rows of features, one column after another, and what became of them (1: it came, 0: it did not). The same rows, recipe
/// and seed give the same forest, bit for bit: one thread, sums in one order.
pub(super) fn grow(columns: &[Vec<f64>], truths: &[f64], recipe: &Recipe, seed: u64) -> Result<Forest, Error> {
    let (flat, rows, columns) = (columns.concat(), truths.len(), columns.len());
    let mut booster = GradientBooster::default()
        .set_objective_type(ObjectiveType::LogLoss)
        .set_iterations(recipe.trees)
        .set_learning_rate(recipe.learning_rate)
        .set_max_leaves(recipe.leaves)
        .set_max_depth(recipe.leaves)
        .set_l2(recipe.l2)
        .set_min_leaf_weight(recipe.leaf_weight)
        .set_nbins(255)
        .set_initialize_base_score(true)
        .set_sample_method(SampleMethod::Random)
        .set_subsample(recipe.rows)
        .set_colsample_bytree(recipe.columns)
        .set_parallel(false)
        .set_seed(seed);
    booster.grow_policy = GrowPolicy::LossGuide;
    let data = Matrix::new(&flat, rows, columns);
    booster.fit(&data, truths, &vec![1.0; rows], None).map_err(|e| Error::Grow(e.to_string()))?;
    let trees = booster.trees.iter().map(flatten).collect::<Option<Vec<Tree>>>();
    let trees = trees.ok_or_else(|| Error::Grow("a tree is too large".to_owned()))?;
    Ok(Forest { base: booster.base_score, trees })
}

/// The mean of forests, as one.
pub(super) fn mean(forests: &[Forest]) -> Forest {
    let share = 1.0 / forests.iter().map(|_| 1.0).sum::<f64>();
    let scaled =
        |tree: &Tree| Tree { nodes: tree.nodes.iter().map(|n| Node { value: n.value * share, ..*n }).collect() };
    Forest {
        base: forests.iter().map(|f| f.base).sum::<f64>() * share,
        trees: forests.iter().flat_map(|f| &f.trees).map(scaled).collect(),
    }
}

/// Our nodes of theirs: children after their parents, and inner values as means of the leaves.
fn flatten(tree: &tree::Tree) -> Option<Tree> {
    let numbers: BTreeMap<usize, usize> = tree.nodes.iter().enumerate().map(|(i, n)| (n.num, i)).collect();
    let mut order = vec![*numbers.get(&0)?];
    let mut at = 0;
    while let Some(node) = order.get(at).and_then(|i| tree.nodes.get(*i)) {
        if !node.is_leaf {
            order.extend([*numbers.get(&node.left_child)?, *numbers.get(&node.right_child)?]);
        }
        at += 1;
    }
    let places: BTreeMap<usize, u16> =
        order.iter().enumerate().map(|(new, old)| Some((*old, u16::try_from(new).ok()?))).collect::<Option<_>>()?;
    let mut nodes: Vec<Node> = Vec::with_capacity(order.len());
    let mut covers = Vec::with_capacity(order.len());
    for (new, old) in order.iter().enumerate() {
        let node = tree.nodes.get(*old)?;
        let own = u16::try_from(new).ok()?;
        let child = |num: usize| numbers.get(&num).and_then(|old| places.get(old)).copied();
        let (left, right) = if node.is_leaf { (own, own) } else { (child(node.left_child)?, child(node.right_child)?) };
        covers.push(f64::from(node.hessian_sum));
        nodes.push(Node {
            feature: u16::try_from(node.split_feature).ok()?,
            split: node.split_value,
            missing_left: !node.is_leaf && node.missing_node == node.left_child,
            left,
            right,
            value: f64::from(node.weight_value),
        });
    }
    for i in (0..nodes.len()).rev() {
        let Node { left, right, .. } = *nodes.get(i)?;
        let (left, right) = (usize::from(left), usize::from(right));
        if left > i {
            let (a, b) = (covers.get(left)?, covers.get(right)?);
            let mean = (nodes.get(left)?.value * a + nodes.get(right)?.value * b) / (a + b);
            nodes.get_mut(i)?.value = mean;
        }
    }
    Some(Tree { nodes })
}

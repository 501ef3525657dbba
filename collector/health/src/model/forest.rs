//! Boosted trees, grown elsewhere: their sum. What each feature adds to it: [`super::explain`].

use serde::{Deserialize, Serialize};

/// A node of a tree. A leaf's children are itself.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(from = "Packed", into = "Packed")]
pub struct Node {
    /// The feature that it asks for.
    pub feature: u16,
    /// Values below go left, others right.
    pub split: f64,
    /// Where a missing value (NaN) goes.
    pub missing_left: bool,
    /// The left child; its own number at a leaf.
    pub left: u16,
    /// The right child; its own number at a leaf.
    pub right: u16,
    /// A leaf's value; elsewhere the mean of the leaves below, each by the rows that trained it.
    pub value: f64,
}

/// As it stands in a file.
#[derive(Serialize, Deserialize)]
struct Packed(u16, f64, bool, u16, u16, f64);

impl From<Packed> for Node {
    fn from(Packed(feature, split, missing_left, left, right, value): Packed) -> Self {
        Node { feature, split, missing_left, left, right, value }
    }
}

impl From<Node> for Packed {
    fn from(n: Node) -> Self {
        Packed(n.feature, n.split, n.missing_left, n.left, n.right, n.value)
    }
}

/// A tree; its root is node 0, and children come after their parents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tree {
    /// Its nodes.
    pub nodes: Vec<Node>,
}

impl Tree {
    fn leaf(&self, row: &[f64]) -> f64 {
        let Some(mut at) = self.nodes.first() else { return 0.0 };
        let mut number = 0;
        loop {
            let value = row.get(usize::from(at.feature)).copied().unwrap_or(f64::NAN);
            let left = if value.is_nan() { at.missing_left } else { value < at.split };
            let next = if left { at.left } else { at.right };
            match self.nodes.get(usize::from(next)) {
                Some(child) if next > number => {
                    (at, number) = (child, next);
                }
                _ => return at.value,
            }
        }
    }
}

/// A sum of trees, in log-odds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Forest {
    /// What every row gets.
    pub base: f64,
    /// The trees.
    pub trees: Vec<Tree>,
}

impl Forest {
    /// The sum of all trees for a row of features.
    pub fn margin(&self, row: &[f64]) -> f64 {
        self.base + self.trees.iter().map(|t| t.leaf(row)).sum::<f64>()
    }
}

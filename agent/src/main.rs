//! outband-agent.
fn main() {}

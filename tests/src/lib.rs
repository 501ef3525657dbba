//! What whole-system tests share: simulated BMCs, a simulated site, child processes that die with their test, and the demo.

pub mod demo;
pub mod files;
pub mod process;
pub mod sim;
pub mod stack;
pub mod wait;
pub mod world;

pub use files::{shared_dir, workspace_dir};
pub use process::{Child, bin, build};
pub use wait::{free_port, skip, wait_until};

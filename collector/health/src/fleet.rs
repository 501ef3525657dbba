//! What a whole fleet teaches: how often parts of a model fail, at what age, how many of them a site will need, how much work
//! there will be. Pure arithmetic on counts; who is counted is decided by the caller.
//!
//! Read in this order: [`rate`] (failures a part-year), [`survival`] (by age), [`spares`] (how many have to be on the shelf),
//! [`load`] (tickets a week), [`gamma`] (the functions beneath), [`usage`] (what a server uses of power and cooling), [`headroom`] (what is left).

pub mod gamma;
pub mod headroom;
pub mod load;
pub mod rate;
pub mod spares;
pub mod survival;
pub mod usage;

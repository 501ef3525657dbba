//! Where a maker's BMC departs from its standard.

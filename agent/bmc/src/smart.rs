//! SMART attributes of drives, normalised to the catalogue's kinds.

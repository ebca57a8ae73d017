//! The features that global weights multiply.

/// Length of a feature vector.
pub const FEATURES: usize = 12;
/// Features are clipped to ± this.
pub const BOUND: f32 = 4.0;

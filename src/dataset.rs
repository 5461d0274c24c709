//! Training frames: splits, statistics, batches.

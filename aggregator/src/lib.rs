//! Bounded contributions, noise, ledger and release; intake, merge and learner.

//! Catalogue, session, features, ranking and the model artifact.

//! Signed answers, keys, pseudonyms and admission of nodes.

# Everything that must hold before a change lands: the same as in CI.
check:
    .ci/run

# Rewrites the JSON Schemas of policy files after a change of policies/src/form.rs.
schemas:
    SIWA_WRITE_SCHEMAS=1 cargo test -p policies --test schema

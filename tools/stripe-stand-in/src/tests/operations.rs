//! What there is to call, against what Stripe's description has.

use crate::{conformance, router};

#[test]
fn every_operation_is_described_or_has_a_reason_not_to_be() {
    let operations = router::operations();
    assert!(
        operations.contains(&"GET /v1/customers/{id}".to_owned()),
        "{operations:?}"
    );
    for operation in &operations {
        let (method, template) = operation.split_once(' ').unwrap();
        let path = template.replace("{id}", "some");
        assert!(conformance::is_known(method, &path), "{operation}");
    }
}

//! The Lambda `create-subscription-checkout`.

fn main() -> std::process::ExitCode {
    billing_edge::boot(&create_subscription_checkout::FUNCTION)
}

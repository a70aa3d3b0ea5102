//! The Lambda `change-subscription-interval`.

fn main() -> std::process::ExitCode {
    billing_edge::boot(&change_subscription_interval::FUNCTION)
}

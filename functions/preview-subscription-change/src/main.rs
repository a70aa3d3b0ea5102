//! The Lambda `preview-subscription-change`.

fn main() -> std::process::ExitCode {
    billing_edge::boot(&preview_subscription_change::FUNCTION)
}

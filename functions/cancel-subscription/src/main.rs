//! The Lambda `cancel-subscription`.

fn main() -> std::process::ExitCode {
    billing_edge::boot(&cancel_subscription::FUNCTION)
}

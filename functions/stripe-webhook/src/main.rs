//! The Lambda `stripe-webhook`.

fn main() -> std::process::ExitCode {
    billing_edge::boot(&stripe_webhook::FUNCTION)
}

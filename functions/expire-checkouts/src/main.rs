//! The Lambda `expire-checkouts`.

fn main() -> std::process::ExitCode {
    billing_edge::boot(&expire_checkouts::FUNCTION)
}

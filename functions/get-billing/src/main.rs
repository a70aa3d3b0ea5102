//! The Lambda `get-billing`.

fn main() -> std::process::ExitCode {
    billing_edge::boot(&get_billing::FUNCTION)
}

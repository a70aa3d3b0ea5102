//! What is deployed: all functions, of which a Lambda is one.

fn main() -> std::process::ExitCode {
    billing_edge::boot(billing_bundle::ALL)
}

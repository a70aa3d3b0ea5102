//! The Lambda `reconcile`.

fn main() -> std::process::ExitCode {
    billing_edge::boot(&reconcile::FUNCTION)
}

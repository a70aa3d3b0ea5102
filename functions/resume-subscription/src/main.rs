//! The Lambda `resume-subscription`.

fn main() -> std::process::ExitCode {
    billing_edge::boot(&resume_subscription::FUNCTION)
}

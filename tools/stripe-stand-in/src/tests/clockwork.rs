//! clockwork

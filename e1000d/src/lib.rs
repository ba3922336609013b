//! placeholder
pub mod platform;

/// placeholder
pub fn run<P: platform::Platform>(_platform: P, _environment: platform::Environment) -> Result<(), Box<dyn std::error::Error>> { Ok(()) }

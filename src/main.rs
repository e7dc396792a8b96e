use std::process::ExitCode;

use chandlery::cli::{output, validate};
use clap::Parser;

#[derive(Parser)]
enum Command {
    Validate(validate::ValidateArgs),
}

fn main() -> ExitCode {
    let Command::Validate(args) = Command::parse();
    validate::run(&args).unwrap_or_else(|error| {
        let _printed = output::print(&format!("{error:#}\n"));
        ExitCode::from(3)
    })
}
